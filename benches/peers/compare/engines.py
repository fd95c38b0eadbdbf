"""The peers, each as its users would set it up for one picture at a time in f32.

Each gives a function that runs the model on the picture. A module is imported where it is used: a worker has only its
own engine in memory.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

Run = Callable[[], np.ndarray]

# How each is set up, for the record.
SETTINGS = {
    "onnxruntime": "all graph optimizations, sequential",
    "openvino": "latency hint, one stream, f32, no pinning",
    "ncnn": "no fp16, no bf16, no vulkan",
    "mnn": "CPU, high precision",
    "litert": "XNNPACK; files written by tflite.py here",
}


def onnxruntime(file: Path, threads: int, picture: np.ndarray) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(file), options, ["CPUExecutionProvider"])
    inputs = {session.get_inputs()[0].name: picture}
    return lambda: session.run(None, inputs)[0]


def openvino(file: Path, threads: int, picture: np.ndarray) -> Run:
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
    return lambda: request.infer([picture], share_inputs=True, share_outputs=True)[0]


def ncnn(file: Path, threads: int, picture: np.ndarray) -> Run:
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{option}", False)
    if net.load_param(str(file)) or net.load_model(str(file.with_suffix(".bin"))):
        raise RuntimeError(f"{file} could not be loaded")
    # It does not own the pixels: they have to outlive it.
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


def mnn(file: Path, threads: int, picture: np.ndarray) -> Run:
    import MNN
    from MNN import expr, nn

    settings = {"backend": "CPU", "precision": "high", "numThread": threads}
    manager = nn.create_runtime_manager((settings,))
    net = nn.load_module_from_file(str(file), ["input"], ["logits"], runtime_manager=manager)
    variable = expr.const(picture, list(picture.shape), expr.NCHW)
    return lambda: net.forward([variable])[0].read()


def litert(file: Path, threads: int, picture: np.ndarray) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(file), num_threads=threads)
    interpreter.allocate_tensors()
    entry, leave = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    channels_last = np.ascontiguousarray(picture.transpose(0, 2, 3, 1))

    def run():
        interpreter.set_tensor(entry, channels_last)
        interpreter.invoke()
        return interpreter.get_tensor(leave)

    return run


LOADERS = {"onnxruntime": onnxruntime, "openvino": openvino, "ncnn": ncnn, "mnn": mnn, "litert": litert}
PEERS = list(LOADERS)
# What the packages are called where they are installed.
PACKAGES = {"mnn": "MNN", "litert": "ai-edge-litert"}
