"""The peers, each as its users would set it up for one picture at a time; what is not quantized is computed in f32.

Each loads a model and gives a function that takes a picture and gives one that runs the model on it. A module is
imported where it is used: a worker has only its own engine in memory.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

Run = Callable[[], np.ndarray]
Bind = Callable[[np.ndarray], Run]

# How each is set up, for the record.
SETTINGS = {
    "onnxruntime": "all graph optimizations, sequential",
    "openvino": "latency hint, one stream, f32, no pinning",
    "ncnn": "no fp16, no bf16, no vulkan",
    "mnn": "CPU, high precision",
    "litert": "XNNPACK; files written by tflite.py here",
}
# Where these differ for a quantized network.
INT8_SETTINGS = {
    "onnxruntime": "all graph optimizations, sequential; QDQ by its quantize_static, s8 weights, u8 activations",
    "openvino": "latency hint, one stream, rest in f32, no pinning; by NNCF, mixed preset",
    "mnn": "CPU, high precision; by mnnquant, EMA over one batch, MAX_ABS",
    "litert": "XNNPACK; files written by tflite.py here; by ai-edge-quantizer, static_wi8_ai8, min and max",
}


def onnxruntime(file: Path, threads: int) -> Bind:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(file), options, ["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def bind(picture: np.ndarray) -> Run:
        inputs = {name: picture}
        return lambda: session.run(None, inputs)[0]

    return bind


def openvino(file: Path, threads: int) -> Bind:
    import openvino

    # Unpinned, as all the others are.
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "INFERENCE_PRECISION_HINT": "f32",
        "ENABLE_CPU_PINNING": False,
    }
    request = openvino.Core().compile_model(str(file), "CPU", settings).create_infer_request()
    return lambda picture: lambda: request.infer([picture], share_inputs=True, share_outputs=True)[0]


def ncnn(file: Path, threads: int) -> Bind:
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{option}", False)
    if net.load_param(str(file)) or net.load_model(str(file.with_suffix(".bin"))):
        raise RuntimeError(f"{file} could not be loaded")

    def bind(picture: np.ndarray) -> Run:
        # The matrix does not own the pixels: they have to outlive it.
        pixels = np.ascontiguousarray(picture[0])
        matrix = ncnn.Mat(pixels)

        def run(pixels=pixels):
            extractor = net.create_extractor()
            extractor.input("in0", matrix)
            status, output = extractor.extract("out0")
            if status:
                raise RuntimeError(f"{file} could not be run: {status}")
            return np.array(output)

        return run

    return bind


def mnn(file: Path, threads: int) -> Bind:
    import MNN
    from MNN import expr, nn

    settings = {"backend": "CPU", "precision": "high", "numThread": threads}
    manager = nn.create_runtime_manager((settings,))
    net = nn.load_module_from_file(str(file), ["input"], ["logits"], runtime_manager=manager)

    def bind(picture: np.ndarray) -> Run:
        variable = expr.const(picture, list(picture.shape), expr.NCHW)

        def run():
            output = net.forward([variable])[0]
            # What is read is the output's own memory, which goes with it.
            return output.read().copy()

        return run

    return bind


def litert(file: Path, threads: int) -> Bind:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(file), num_threads=threads)
    interpreter.allocate_tensors()
    entry, leave = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def bind(picture: np.ndarray) -> Run:
        channels_last = levels(np.ascontiguousarray(picture.transpose(0, 2, 3, 1)), entry)

        def run():
            interpreter.set_tensor(entry["index"], channels_last)
            interpreter.invoke()
            return values(interpreter.get_tensor(leave["index"]), leave)

        return run

    return bind


def levels(tensor: np.ndarray, details: dict) -> np.ndarray:
    """A tensor as LiteRT's input wants it: quantized, if that is."""
    if details["dtype"] == np.float32:
        return tensor
    scale, zero_point = details["quantization"]
    limits = np.iinfo(details["dtype"])
    return np.clip(np.round(tensor / scale) + zero_point, limits.min, limits.max).astype(details["dtype"])


def values(tensor: np.ndarray, details: dict) -> np.ndarray:
    """What LiteRT's output stands for, if that is quantized."""
    if details["dtype"] == np.float32:
        return tensor
    scale, zero_point = details["quantization"]
    return (tensor.astype(np.float32) - zero_point) * scale


LOADERS = {"onnxruntime": onnxruntime, "openvino": openvino, "ncnn": ncnn, "mnn": mnn, "litert": litert}
PEERS = list(LOADERS)
# What the packages are called where they are installed.
PACKAGES = {"mnn": "MNN", "litert": "ai-edge-litert"}
