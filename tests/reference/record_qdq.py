#!/usr/bin/env python3
"""Record what ONNX Runtime computes with networks that its own tool has quantized, to QuantizeLinear and DequantizeLinear.

    pip install -r ../onnxruntime/requirements.txt
    python record_qdq.py PROGRAM       # edge-classify; rewrites qdq/*.onnx and qdq/logits.npy beside this script

The networks are those of qdq/networks.toml with synthetic weights, one for each line of VARIANTS. They are calibrated with
random pictures, and logits are those of others: a row for each variant, in it one for each of the seeds from 1 on. Pictures
are a function of their seed (src/zoo/weights/synthetic.rs has the definition), of more and of less contrast.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

HERE = Path(__file__).resolve().parent
SIZE = 48
CLASSES = 10
PICTURES = 8
CALIBRATION = range(100, 116)

U8, S8 = QuantType.QUInt8, QuantType.QInt8


class Variant(NamedTuple):
    name: str
    network: str
    activations: QuantType = U8
    weights: QuantType = S8
    per_channel: bool = True
    fold: bool = True
    options: dict = {}


VARIANTS = (
    Variant("relu6", "relu6"),
    Variant("relu6_signed", "relu6", activations=S8),
    # Zero is the zero point, and rectifiers stay in the file.
    Variant("relu6_symmetric", "relu6", activations=S8, options={"ActivationSymmetric": True}),
    # One scale and a zero point for all weights of a layer.
    Variant("relu6_unsigned", "relu6", weights=U8, per_channel=False),
    # Batch normalisation between a convolution's levels and others.
    Variant("relu6_unfolded", "relu6", fold=False),
    Variant("swish", "swish"),
    Variant("hard_swish", "hard_swish"),
    Variant("mixed", "mixed"),
)  # fmt: skip


def picture(seed):
    """The input of a seed, with one of eight contrasts."""
    golden, base = 0x9E3779B97F4A7C15, 0xCBF29CE484222325
    for byte in b"input":
        base = ((base ^ byte) * 0x100000001B3) % 2**64
    base ^= seed * golden % 2**64
    z = np.uint64(base) + np.arange(1, 3 * SIZE * SIZE + 1, dtype=np.uint64) * np.uint64(golden)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    u = (z >> np.uint64(11)).astype(np.float64) / 2**53
    return (4 * u - 2).astype(np.float32).reshape(1, 3, SIZE, SIZE) * np.float32(seed % 8 / 4)


class Pictures(CalibrationDataReader):
    def __init__(self):
        self.seeds = iter(CALIBRATION)

    def get_next(self):
        seed = next(self.seeds, None)
        return None if seed is None else {"input": picture(seed)}


def quantize(program, variant, directory):
    """The quantized network of a variant."""
    exported, quantized = directory / "exported.onnx", HERE / f"qdq/{variant.name}.onnx"
    command = [program, "export", variant.network, "--definition", HERE / "qdq/networks.toml", "-o", exported]
    more = ["--weights", "synthetic:1", "--classes", str(CLASSES), *["--fold-bn"] * variant.fold]
    subprocess.run([*command, *more], check=True, stderr=subprocess.DEVNULL)
    quantize_static(
        exported,
        quantized,
        Pictures(),
        quant_format=QuantFormat.QDQ,
        per_channel=variant.per_channel,
        activation_type=variant.activations,
        weight_type=variant.weights,
        extra_options=variant.options,
    )
    model = onnx.load(quantized)
    del model.graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, quantized)
    return quantized


def logits(file):
    settings = onnxruntime.SessionOptions()
    # Node by node, as the file says: fused, the results depend on the processor.
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(file), settings, ["CPUExecutionProvider"])
    return [session.run(None, {"input": picture(seed + 1)})[0][0] for seed in range(PICTURES)]


def main():
    program = Path(sys.argv[1]).resolve()
    np.seterr(over="ignore")
    recorded = []
    with tempfile.TemporaryDirectory() as directory:
        for variant in VARIANTS:
            file = quantize(program, variant, Path(directory))
            recorded.append(logits(file))
            print(f"{variant.name}: {file.stat().st_size} bytes")
    np.save(HERE / "qdq/logits.npy", np.array(recorded, np.float32))


if __name__ == "__main__":
    main()
