"""A network in each peer's own form. A conversion is kept as long as network and converter stay the same."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from . import tflite
from .contestants import Failed
from .networks import Network


def call(command: list, directory: Path | None = None):
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise Failed(f"{Path(command[0]).name} failed with status {done.returncode}: {' / '.join(said[-3:])}")


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


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def convert(peer: str, network: Network, directory: Path) -> Path:
    """The file that the peer reads: the ONNX file itself, or what is made of it."""
    if peer not in CONVERTERS:
        return network.onnx
    how, suffix, version = CONVERTERS[peer]
    target = directory / f"{network.name}{suffix}"
    note = target.with_name(target.name + ".made-from")
    made_from = f"{digest(network.onnx)} {version()}\n"
    if target.exists() and note.exists() and note.read_text() == made_from:
        return target
    directory.mkdir(parents=True, exist_ok=True)
    note.unlink(missing_ok=True)
    target.unlink(missing_ok=True)
    try:
        how(network.onnx, target)
    except (OSError, ValueError) as error:
        raise Failed(f"{network.onnx} could not be converted: {error}") from error
    if not target.exists():
        raise Failed(f"its converter made no {target} of {network.onnx}")
    note.write_text(made_from)
    return target
