"""A network in each peer's own form, in f32 and int8. A file is kept as long as what it is made of stays the same."""

import shutil
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from . import quantize, tflite
from .kept import digest, digest_of_all, kept
from .networks import Network
from .photographs import find
from .process import Failed, call


def to_ncnn(source: Path, target: Path):
    # Found without importing its package, which wants PyTorch.
    pnnx = Path(str(metadata.distribution("pnnx").locate_file("pnnx/pnnx")))
    with tempfile.TemporaryDirectory() as directory:
        made = Path(directory) / "model"
        shutil.copy(source, made.with_suffix(".onnx"))
        # It writes a dozen files beside its input.
        call([pnnx.resolve(), "model.onnx", "fp16=0"], made.parent)
        shutil.move(made.with_suffix(".ncnn.bin"), target.with_suffix(".bin"))
        shutil.move(made.with_suffix(".ncnn.param"), target)


def to_mnn(source: Path, target: Path):
    # Not by the package's script: it calls pip in whatever environment comes first, to report its use.
    convert = "import sys, _tools; _tools.mnnconvert(sys.argv)"
    options = ["-f", "ONNX", "--modelFile", source, "--MNNModel", target, "--bizCode", "compare"]
    call([sys.executable, "-c", convert, *options])


def to_litert(source: Path, target: Path):
    target.write_bytes(tflite.convert(source))


# How, to what, and what of the converter may change the result.
CONVERTERS = {
    "ncnn": (to_ncnn, ".param", lambda: metadata.version("pnnx")),
    "mnn": (to_mnn, ".mnn", lambda: metadata.version("MNN")),
    "litert": (to_litert, ".tflite", lambda: digest(Path(tflite.__file__))),
}

# What a quantized network ends in, and the package of the tool that makes it.
QUANTIZERS = {
    "onnxruntime": (".int8.onnx", "onnxruntime"),
    "openvino": (".int8.xml", "nncf"),
    "mnn": (".int8.mnn", "MNN"),
    "litert": (".int8.tflite", "ai-edge-quantizer"),
}


def convert(peer: str, network: Network, directory: Path) -> Path:
    """The file that the peer reads: the ONNX file itself, or what is made of it."""
    if peer not in CONVERTERS:
        return network.onnx
    how, suffix, version = CONVERTERS[peer]
    made_from = f"{digest(network.onnx)} {version()}\n"
    return kept(directory / f"{network.name}{suffix}", made_from, lambda target: how(network.onnx, target))


def convert_to_int8(peer: str, network: Network, photographs: Path, directory: Path) -> Path:
    """The file that the peer's own tool makes of what the peer reads in f32, with a directory of photographs."""
    if peer not in QUANTIZERS:
        raise Failed("its package has no tool that quantizes")
    suffix, package = QUANTIZERS[peer]
    source = convert(peer, network, directory)
    how = f"{metadata.version(package)} {digest(Path(quantize.__file__))}"
    made_from = f"{digest(source)} {how} {digest_of_all(find(photographs))}\n"

    def make(target: Path):
        arguments = [peer, source, target, network.onnx, photographs]
        call([sys.executable, "-m", "compare.quantize", *arguments])

    return kept(directory / f"{network.name}{suffix}", made_from, make)
