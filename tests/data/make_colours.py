#!/usr/bin/env python3
"""Make colours.onnx, a tiny classifier of a picture's average colour.

    pip install -r ../models/requirements.txt
    python make_colours.py

It answers with the colour nearest to the picture's mean, in [0, 1] RGB: the
softmax of -a |x - c|^2 equals that of x . 2 a c - a |c|^2, a linear layer. Its
answers are predictable, so a test through a camera shows at once whether a
pixel format was converted right (swapped channels turn red into blue).
"""

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).resolve().parent

SIZE = 32
SHARPNESS = 10.0
COLOURS = {
    "black": (0, 0, 0),
    "white": (1, 1, 1),
    "grey": (0.5, 0.5, 0.5),
    "red": (1, 0, 0),
    "green": (0, 1, 0),
    "blue": (0, 0, 1),
    "yellow": (1, 1, 0),
    "cyan": (0, 1, 1),
    "magenta": (1, 0, 1),
}

CARD = """\
name = "colours"
description = "Nearest of nine colours to the picture's average (made for tests)"
file = "colours.onnx"
sha256 = "{sha256}"
labels = "colours.txt"

[preprocess]
size = 32
resize = 32
crop = "centre"
interpolation = "bilinear"
color = "rgb"
# in 8-bit levels: (x - mean) / std
mean = [0.0, 0.0, 0.0]
std = [255.0, 255.0, 255.0]

[weights]
source = "computed by make_colours.py"
licence = "MIT OR Apache-2.0"
"""


def build():
    centres = np.array(list(COLOURS.values()), np.float32)
    weight = 2 * SHARPNESS * centres
    bias = -SHARPNESS * (centres**2).sum(axis=1)
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["mean"], name="mean"),
        helper.make_node("Flatten", ["mean"], ["colour"], name="colour", axis=1),
        helper.make_node("Gemm", ["colour", "weight", "bias"], ["logits"], name="logits", transB=1),
    ]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "colours",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, len(COLOURS)])],
            [
                numpy_helper.from_array(weight.astype(np.float32), "weight"),
                numpy_helper.from_array(bias.astype(np.float32), "bias"),
            ],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
        producer_name=Path(__file__).name,
    )
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def main():
    data = build()
    sha256 = hashlib.sha256(data).hexdigest()
    (HERE / "colours.onnx").write_bytes(data)
    (HERE / "colours.toml").write_text(CARD.format(sha256=sha256), encoding="utf-8")
    (HERE / "colours.txt").write_text("\n".join(COLOURS) + "\n", encoding="utf-8")
    print(f"colours.onnx: {len(data)} bytes, sha256 {sha256}")


if __name__ == "__main__":
    main()
