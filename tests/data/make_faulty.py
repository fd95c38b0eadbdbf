#!/usr/bin/env python3
"""Make models that load but fail when they run: on an index out of range, and on results that are not numbers.

    pip install onnx==1.23.2 numpy==2.4.6
    python make_faulty.py        # rewrites index.onnx and nan.onnx beside this script
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).resolve().parent


def save(name, nodes, constants):
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, HERE / f"{name}.onnx")


# Means of the channels, as class scores.
mean = [
    helper.make_node("GlobalAveragePool", ["input"], ["pooled"]),
    helper.make_node("Flatten", ["pooled"], ["mean"]),
]

# Takes the score at a position that the picture itself decides, far outside.
save(
    "index",
    mean
    + [
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "far"], ["position"]),
        helper.make_node("Cast", ["position"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Reshape", ["whole", "three"], ["index"]),
        helper.make_node("Gather", ["mean", "index"], ["logits"], axis=1),
    ],
    {
        "zero": np.float32(0).reshape(1),
        "far": np.float32(1000).reshape(1),
        "three": np.int64(3).reshape(1),
    },
)

save(
    "nan",
    mean
    + [
        helper.make_node("Abs", ["mean"], ["positive"]),
        helper.make_node("Sub", ["minus_one", "positive"], ["negative"]),
        helper.make_node("Sqrt", ["negative"], ["logits"]),
    ],
    {"minus_one": np.float32(-1).reshape(1)},
)
