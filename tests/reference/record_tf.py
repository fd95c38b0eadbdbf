#!/usr/bin/env python3
"""Record what TensorFlow's evaluation preprocessing makes of pictures, for the `tf` pipeline.

Reference: `preprocess_for_eval` of EfficientNet in tensorflow/tpu, which timm runs with its --tf-preprocessing. Here it
is timm's own TfPreprocessTransform, with TensorFlow's own operations. Only the decoding is replaced: Pillow decodes,
and the transform gets the pixels as PNG, which it cuts after decoding. So this records crop and resize, not a JPEG
decoder.

    pip install -r requirements-tf.txt
    pip install --no-deps timm==1.0.31      # one file of it; all it depends on is not needed
    python record_tf.py                     # rewrites the folder tensorflow beside this script

tensorflow/cases.csv lists the recordings: the picture, the part of it that was taken for the whole (left, top, width,
height; empty: all of it), input size and filter. Parts of PNG files are the same for every decoder.
"""

import csv
import importlib.metadata
import importlib.util
import io
import os
from pathlib import Path
from unittest import mock

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image

HERE = Path(__file__).resolve().parent
TESTS = HERE.parent
FILTERS = ("bicubic", "bilinear")

# Picture, its part (left, top, width, height) and the input size.
CASES = [
    ("photos/labelled/fish8.jpg", None, 160),  # 320x127, landscape, the most extreme shape; enlarged
    ("photos/labelled/india_victoriamemorial.jpg", None, 120),  # 727x320; reduced; odd margins
    ("photos/labelled/cathedral.jpg", None, 224),  # 212x320, portrait; enlarged; odd margins
    ("photos/labelled/volleyball.jpg", None, 192),  # 320x320, square; reduced
    ("photos/labelled/koala.jpg", None, 96),  # 320x427, portrait; strongly reduced
    ("photos/labelled/panda.jpg", None, 260),  # 481x320; EfficientNet-Lite2's size
    ("photos/labelled/wormscathedral.jpg", None, 131),  # 320x369, portrait; an odd size
    ("photos/labelled/weighingmachine.jpg", None, 112),  # 320x258
    ("reference/pillow/koala.bicubic.png", (0, 0, 224, 224), 112),  # square; reduced
    ("reference/pillow/panda.bicubic.png", (20, 3, 201, 131), 96),  # landscape; odd margins
    ("reference/pillow/baseball.bicubic.png", (7, 11, 100, 213), 128),  # portrait; enlarged
    ("reference/pillow/volleyball.bicubic.png", (0, 100, 224, 13), 64),  # a strip; strongly enlarged
    ("reference/pillow/crocodile.bicubic.png", (30, 40, 128, 128), 96),  # a crop of the input's size
]


def reference():
    """timm's module, without the rest of timm."""
    path = next(file for file in importlib.metadata.files("timm") if file.name == "tf_preprocessing.py").locate()
    spec = importlib.util.spec_from_file_location("tf_preprocessing", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shape(data):
    return tf.shape(tf.image.decode_png(data, channels=3))


def decode_and_crop(data, window, channels):
    top, left, height, width = tf.unstack(window)
    return tf.slice(tf.image.decode_png(data, channels=channels), [top, left, 0], [height, width, channels])


def preprocess(module, image, size, interpolation):
    png = io.BytesIO()
    image.save(png, "PNG")
    decoders = {"extract_jpeg_shape": shape, "decode_and_crop_jpeg": decode_and_crop}
    with mock.patch.multiple(tf.image, **decoders):
        transform = module.TfPreprocessTransform(size=size, interpolation=interpolation)
    return Image.fromarray(np.ascontiguousarray(transform(png.getvalue()).transpose(1, 2, 0)))


def main():
    module = reference()
    folder = HERE / "tensorflow"
    folder.mkdir(exist_ok=True)
    with (folder / "cases.csv").open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["file", "source", "part", "size", "interpolation"])
        for source, part, size in CASES:
            with Image.open(TESTS / source) as image:
                image = image.convert("RGB")
            if part:
                left, top, width, height = part
                image = image.crop((left, top, left + width, top + height))
            for interpolation in FILTERS:
                stem = Path(source).name.split(".")[0] + ("" if source.endswith(".jpg") else "_part")
                name = f"{stem}.{interpolation}{size}.png"
                preprocess(module, image, size, interpolation).save(folder / name, optimize=True)
                out.writerow([name, source, " ".join(map(str, part or ())), size, interpolation])


if __name__ == "__main__":
    main()
