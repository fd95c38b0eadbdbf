"""Write an ONNX file of the zoo as a TFLite file, with the operators that TensorFlow's converter would use.

PyTorch and TensorFlow, which other ways from ONNX to TFLite want, are gigabytes. Channels go last, weights stay as they
are, clips at 0 and 6 are fused into the layer before. Batch normalisation has to be folded already.
"""

from pathlib import Path

import flatbuffers
import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema

Operator = schema.BuiltinOperator
RELU, RELU6 = schema.ActivationFunctionType.RELU, schema.ActivationFunctionType.RELU6
FUSES = {"Conv", "Add", "Gemm"}
# XNNPACK takes no split into more.
MOST_PARTS = 4
# What the network is called as a function: tools that quantize ask for it.
SIGNATURE = "serving_default"


class Writer:
    """A model in the making: tensors, their values and the operators so far."""

    def __init__(self):
        self.codes: list[int] = []
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        # The first buffer is that of tensors without values.
        self.buffers = [schema.BufferT()]

    def tensor(self, name: str, shape, values: np.ndarray | None = None) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name, [int(n) for n in shape], 0
        tensor.type = schema.TensorType.FLOAT32
        if values is not None:
            if values.dtype == np.int32:
                tensor.type = schema.TensorType.INT32
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
            tensor.buffer = len(self.buffers)
            self.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def constant(self, name: str, values) -> int:
        values = np.asarray(values)
        return self.tensor(name, values.shape, values)

    def shape(self, index: int) -> list[int]:
        return self.graph.tensors[index].shape

    def operator(self, code: int, inputs: list[int], outputs: list[int], kind: str | None, **options):
        if code not in self.codes:
            self.codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = self.codes.index(code)
        operator.inputs, operator.outputs = inputs, outputs
        if kind:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            operator.builtinOptions = getattr(schema, kind + "T")()
        for name, value in options.items():
            setattr(operator.builtinOptions, name, value)
        self.graph.operators.append(operator)

    def signature(self) -> schema.SignatureDefT:
        def named(indices: list[int]) -> list[schema.TensorMapT]:
            return [schema.TensorMapT(self.graph.tensors[index].name, index) for index in indices]

        return schema.SignatureDefT(named(self.graph.inputs), named(self.graph.outputs), SIGNATURE)

    def model(self) -> bytes:
        model = schema.ModelT()
        model.signatureDefs = [self.signature()]
        model.version, model.subgraphs, model.buffers = 3, [self.graph], self.buffers
        model.operatorCodes = []
        for code in self.codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, min(code, 127), 1
            model.operatorCodes.append(entry)
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


class Converter:
    def __init__(self, model: onnx.ModelProto):
        self.onnx = model.graph
        self.writer = Writer()
        self.values = {item.name: onnx.numpy_helper.to_array(item) for item in self.onnx.initializer}
        self.found: dict[str, int] = {}
        self.users: dict[str, list[onnx.NodeProto]] = {}
        for node in self.onnx.node:
            for name in node.input:
                self.users.setdefault(name, []).append(node)

    def convert(self) -> bytes:
        graph = self.writer.graph
        entry = self.onnx.input[0]
        batch, channels, height, width = (dim.dim_value for dim in entry.type.tensor_type.shape.dim)
        self.found[entry.name] = self.writer.tensor(entry.name, [batch, height, width, channels])
        for node in self.onnx.node:
            if node.output[0] in self.found:  # fused into the node before
                continue
            convert = getattr(self, node.op_type.lower(), None)
            if convert is None:
                raise ValueError(f"{node.op_type} {node.output[0]} has no form in TFLite here")
            convert(node, {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute})
        graph.inputs = [self.found[entry.name]]
        graph.outputs = [self.found[self.onnx.output[0].name]]
        return self.writer.model()

    def activation(self, node: onnx.NodeProto) -> int | None:
        """RELU or RELU6, if the node is one."""
        if node.op_type == "Relu":
            return RELU
        if node.op_type == "Clip" and [float(self.values[name]) for name in node.input[1:]] == [0.0, 6.0]:
            return RELU6
        return None

    def result(self, node: onnx.NodeProto, shape) -> tuple[int, int]:
        """The tensor that takes a node's output, and the activation to fuse: that of its one user."""
        name, fused = node.output[0], schema.ActivationFunctionType.NONE
        users = self.users.get(name, [])
        if node.op_type in FUSES and len(users) == 1 and (kind := self.activation(users[0])) is not None:
            name, fused = users[0].output[0], kind
        index = self.writer.tensor(name, shape)
        self.found[node.output[0]] = self.found[name] = index
        return index, fused

    def conv(self, node, attributes):
        writer = self.writer
        source = self.found[node.input[0]]
        weights = self.values[node.input[1]]
        outputs, _, *window = weights.shape
        bias = self.values[node.input[2]] if len(node.input) > 2 else np.zeros(outputs, np.float32)
        strides, pads, groups = attributes["strides"], attributes["pads"], attributes.get("group", 1)
        _, height, width, channels = writer.shape(source)
        size = [
            (n + pads[i] + pads[i + 2] - window[i]) // strides[i] + 1 for i, n in enumerate((height, width))
        ]
        padding = schema.Padding.VALID
        if any(pads):
            total = [max((size[i] - 1) * strides[i] + window[i] - n, 0) for i, n in enumerate((height, width))]
            same = [t // 2 for t in total] + [t - t // 2 for t in total]
            if same == list(pads) and size == [-(-height // strides[0]), -(-width // strides[1])]:
                padding = schema.Padding.SAME
            else:
                source = self.pad(node, source, pads)
        result, fused = self.result(node, [1, *size, outputs])
        options = {"padding": padding, "strideH": strides[0], "strideW": strides[1], "fusedActivationFunction": fused,
                   "dilationHFactor": 1, "dilationWFactor": 1}
        if groups == 1:
            code, kind, order = Operator.CONV_2D, "Conv2DOptions", (0, 2, 3, 1)
        elif groups == channels:
            code, kind, order = Operator.DEPTHWISE_CONV_2D, "DepthwiseConv2DOptions", (1, 2, 3, 0)
            options["depthMultiplier"] = outputs // channels
        else:
            raise ValueError(f"{node.output[0]} is a convolution in {groups} groups of {channels} channels")
        inputs = [source, writer.constant(node.input[1], weights.transpose(order)),
                  writer.constant(node.output[0] + ".bias", bias)]
        writer.operator(code, inputs, [result], kind, **options)

    def pad(self, node, source: int, pads) -> int:
        writer = self.writer
        _, height, width, channels = writer.shape(source)
        around = np.array([[0, 0], [pads[0], pads[2]], [pads[1], pads[3]], [0, 0]], np.int32)
        shape = [1, height + sum(around[1]), width + sum(around[2]), channels]
        padded = writer.tensor(node.output[0] + ".padded", shape)
        inputs = [source, writer.constant(node.output[0] + ".pads", around)]
        writer.operator(Operator.PAD, inputs, [padded], "PadOptions")
        return padded

    def unary(self, node, code: int, kind: str | None = None):
        source = self.found[node.input[0]]
        result, _ = self.result(node, self.writer.shape(source))
        self.writer.operator(code, [source], [result], kind)

    def hardswish(self, node, _):
        self.unary(node, Operator.HARD_SWISH, "HardSwishOptions")

    def sigmoid(self, node, _):
        self.unary(node, Operator.LOGISTIC)

    def relu(self, node, _):
        self.unary(node, Operator.RELU)

    def clip(self, node, _):
        if self.activation(node) != RELU6:
            raise ValueError(f"{node.output[0]} is a clip at other values than 0 and 6")
        self.unary(node, Operator.RELU6)

    def hardsigmoid(self, node, attributes):
        """relu6(x + 3) / 6: TFLite has no such operator, TensorFlow writes it so."""
        if not np.allclose([attributes["alpha"], attributes["beta"]], [1 / 6, 0.5], atol=1e-7):
            raise ValueError(f"{node.output[0]} is a hard sigmoid of another slope")
        writer, source, name = self.writer, self.found[node.input[0]], node.output[0]
        shape = writer.shape(source)
        clipped = writer.tensor(name + ".clipped", shape)
        three, sixth = (writer.constant(name + suffix, np.float32(v)) for suffix, v in ((".3", 3), (".6th", 1 / 6)))
        writer.operator(Operator.ADD, [source, three], [clipped], "AddOptions", fusedActivationFunction=RELU6)
        result, _ = self.result(node, shape)
        writer.operator(Operator.MUL, [clipped, sixth], [result], "MulOptions")

    def add(self, node, _):
        inputs = [self.found[name] for name in node.input]
        result, fused = self.result(node, self.writer.shape(inputs[0]))
        self.writer.operator(Operator.ADD, inputs, [result], "AddOptions", fusedActivationFunction=fused)

    def mul(self, node, _):
        inputs = [self.found[name] for name in node.input]
        result, _ = self.result(node, np.broadcast_shapes(*(tuple(self.writer.shape(i)) for i in inputs)))
        self.writer.operator(Operator.MUL, inputs, [result], "MulOptions")

    def globalaveragepool(self, node, _):
        source = self.found[node.input[0]]
        channels = self.writer.shape(source)[3]
        result, _ = self.result(node, [1, 1, 1, channels])
        axes = self.writer.constant(node.output[0] + ".axes", np.array([1, 2], np.int32))
        self.writer.operator(Operator.MEAN, [source, axes], [result], "ReducerOptions", keepDims=True)

    def flatten(self, node, _):
        source = self.found[node.input[0]]
        shape = [1, int(np.prod(self.writer.shape(source)))]
        if self.writer.shape(source)[3] != shape[1]:
            raise ValueError(f"{node.output[0]} flattens more than channels: their order would change")
        result, _ = self.result(node, shape)
        target = self.writer.constant(node.output[0] + ".shape", np.array(shape, np.int32))
        self.writer.operator(Operator.RESHAPE, [source, target], [result], "ReshapeOptions", newShape=shape)

    def gemm(self, node, attributes):
        weights = self.values[node.input[1]]
        weights = weights if attributes.get("transB") else weights.T
        inputs = [self.found[node.input[0]], self.writer.constant(node.input[1], weights),
                  self.writer.constant(node.input[2], self.values[node.input[2]])]
        result, fused = self.result(node, [1, len(weights)])
        self.writer.operator(
            Operator.FULLY_CONNECTED, inputs, [result], "FullyConnectedOptions", fusedActivationFunction=fused
        )

    def split(self, node, _):
        writer, source = self.writer, self.found[node.input[0]]
        _, height, width, _ = writer.shape(source)
        sizes = [int(size) for size in self.values[node.input[1]]]
        parts = [writer.tensor(name, [1, height, width, size]) for name, size in zip(node.output, sizes, strict=True)]
        self.found.update(zip(node.output, parts))
        if len(set(sizes)) == 1 and len(sizes) <= MOST_PARTS:
            axis = writer.constant(node.output[0] + ".axis", np.array(3, np.int32))
            writer.operator(Operator.SPLIT, [axis, source], parts, "SplitOptions", numSplits=len(sizes))
            return
        # XNNPACK takes only equal parts: slices for others.
        start = 0
        for name, part, size in zip(node.output, parts, sizes, strict=True):
            begin = writer.constant(name + ".begin", np.array([0, 0, 0, start], np.int32))
            extent = writer.constant(name + ".size", np.array([1, height, width, size], np.int32))
            writer.operator(Operator.SLICE, [source, begin, extent], [part], "SliceOptions")
            start += size

    def concat(self, node, _):
        inputs = [self.found[name] for name in node.input]
        shapes = [self.writer.shape(index) for index in inputs]
        result, _ = self.result(node, [*shapes[0][:3], sum(shape[3] for shape in shapes)])
        self.writer.operator(Operator.CONCATENATION, inputs, [result], "ConcatenationOptions", axis=3)


def convert(source: Path) -> bytes:
    return Converter(onnx.load(source)).convert()
