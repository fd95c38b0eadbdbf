#!/usr/bin/env python3
"""Check that networks which ONNX Runtime's tool has quantized classify the labelled photographs as they do in ONNX Runtime.

    quantized.py PROGRAM       the edge-classify program

The networks have published weights (weights.txt, installed in this environment as files), and are quantized to pairs of
QuantizeLinear and DequantizeLinear with some of the photographs for calibration. The program has to compute them in int8.
ONNX Runtime does not agree with itself: with its optimizations it rounds at other places, and MobileNetV2 gets another
class for some photographs. That is the measure here.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime import GraphOptimizationLevel
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from real_weights import NETWORKS, PHOTOS, ROOT, export

sys.path.insert(0, str(ROOT / "benches/peers"))
from compare.photographs import Preprocess, find, tensors  # noqa: E402

CALIBRATED_WITH = 16
# Network, type of activations, type of weights, whether these have a scale for each channel.
QUANTIZED = (
    ("tf_efficientnet_lite0", QuantType.QUInt8, QuantType.QInt8, True),
    ("mobilenetv2_100", QuantType.QInt8, QuantType.QInt8, True),
)
# How many photographs may get another class than both ways of ONNX Runtime agree on.
DIFFERENT = 3
# Than ONNX Runtime's logits are from each other: it rounds before sums, and with its optimizations at other places again.
FURTHER = 2.0


class Pictures(CalibrationDataReader):
    def __init__(self, preprocess):
        files = find(PHOTOS / "calibration")
        self.pictures = iter(tensors(files[:: len(files) // CALIBRATED_WITH], preprocess))

    def get_next(self):
        picture = next(self.pictures, None)
        return None if picture is None else {"input": picture[None]}


def quantize(model, target, activations, weights, per_channel):
    """As ONNX Runtime's documentation advises; the card comes along."""
    prepared = model.with_suffix(".prepared.onnx")
    quant_pre_process(model, prepared, skip_symbolic_shape=True)
    quantize_static(
        prepared,
        target,
        Pictures(Preprocess.of(model)),
        quant_format=QuantFormat.QDQ,
        per_channel=per_channel,
        activation_type=activations,
        weight_type=weights,
    )
    card = model.with_suffix(".toml").read_text(encoding="utf-8")
    lines = [line for line in card.splitlines() if not line.startswith(("sha256", "file"))]
    target.with_suffix(".toml").write_text("\n".join([f'file = "{target.name}"', *lines]) + "\n", encoding="utf-8")


def reference(file, pictures, level):
    """ONNX Runtime's logits for each picture."""
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    settings.graph_optimization_level = level
    session = onnxruntime.InferenceSession(str(file), settings, ["CPUExecutionProvider"])
    return np.stack([session.run(None, {"input": picture[None]})[0][0] for picture in pictures])


def infer(program, file, pictures, directory):
    """The program's logits for each picture."""
    given, made = directory / "picture.npy", directory / "logits.npy"
    found = []
    for picture in pictures:
        np.save(given, picture[None])
        subprocess.run([program, "infer", file, "--tensor", given, "--output", made], check=True, capture_output=True)
        found.append(np.load(made).ravel())
    return np.stack(found)


def is_in_int8(program, file):
    """Whether all convolutions and the classifier are."""
    inspected = subprocess.run([program, "inspect", file], check=True, capture_output=True, text=True).stdout
    weighing = [line for line in inspected.splitlines() if " convolution " in line or " pointwise " in line]
    return bool(weighing) and all(" int8 " in line for line in weighing)


def check(program, name, model, *types):
    quantized = model.with_suffix(".quantized.onnx")
    quantize(model, quantized, *types)
    pictures = tensors(find(PHOTOS / "labelled"), Preprocess.of(model))
    as_written = reference(quantized, pictures, GraphOptimizationLevel.ORT_DISABLE_ALL)
    optimized = reference(quantized, pictures, GraphOptimizationLevel.ORT_ENABLE_ALL)
    ours = infer(program, quantized, pictures, model.parent)

    def same(a, b):
        return int(np.sum(a.argmax(1) == b.argmax(1)))

    def apart(a, b):
        return float(np.abs(a - b).mean())

    agreed = as_written.argmax(1) == optimized.argmax(1)
    different = int(np.sum(ours.argmax(1)[agreed] != as_written.argmax(1)[agreed]))
    theirs, own = apart(as_written, optimized), min(apart(ours, as_written), apart(ours, optimized))
    in_int8 = is_in_int8(program, quantized)
    ok = in_int8 and own <= FURTHER * theirs and different <= DIFFERENT
    print(
        f"{'ok' if ok else 'FAILED'} {name} {' '.join(map(str, types))}: as ONNX Runtime on {same(ours, as_written)} of"
        f" {len(pictures)} photographs, on {same(ours, optimized)} where it optimizes; itself on {int(agreed.sum())};"
        f" another class than both on {different}; logits {own:.4f} apart, its own {theirs:.4f};"
        f" {'in int8' if in_int8 else 'NOT in int8'}",
        flush=True,
    )
    return ok


def main():
    program = Path(sys.argv[1]).resolve()
    networks = {network.name: network for network in NETWORKS}
    results = []
    with tempfile.TemporaryDirectory() as directory:
        for name, *types in QUANTIZED:
            model = export(program, networks[name], Path(directory))
            results.append(check(program, name, model, *types))
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    sys.exit(not (results and all(results)))


if __name__ == "__main__":
    main()
