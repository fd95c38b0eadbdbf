"""Photographs as a network takes them: resized, cropped and normalised as its card says, by Pillow."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from .process import Failed

FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
SUFFIXES = {".jpg", ".jpeg", ".png"}


@dataclass
class Preprocess:
    """Sides in pixels; mean and deviation in 8-bit levels."""

    size: int
    resize: int
    interpolation: str
    mean: list[float]
    std: list[float]

    @classmethod
    def of(cls, model: Path) -> "Preprocess":
        """What the card beside the model says."""
        card = model.with_suffix(".toml")
        said = tomllib.loads(card.read_text())["preprocess"]
        known = {"pipeline": "torch", "crop": "centre", "color": "rgb"}
        for key, value in known.items():
            if said.get(key, value) != value:
                raise Failed(f"{card}: {key} is {said[key]}, and only {value} is known here")
        return cls(*(said[key] for key in ("size", "resize", "interpolation", "mean", "std")))

    def pixels(self, picture: Image.Image) -> Image.Image:
        """torchvision's Resize and CenterCrop."""
        picture = picture.convert("RGB")
        width, height = picture.size
        shorter, longer = min(width, height), max(width, height)
        other = int(self.resize * longer / shorter)
        size = (self.resize, other) if width <= height else (other, self.resize)
        picture = picture.resize(size, FILTERS[self.interpolation])
        left, top = (round((side - self.size) / 2) for side in size)
        return picture.crop((left, top, left + self.size, top + self.size))

    def tensor(self, picture: Image.Image) -> np.ndarray:
        """Of shape channels, height, width."""
        pixels = np.asarray(self.pixels(picture), np.float32)
        normalised = (pixels - np.float32(self.mean)) / np.float32(self.std)
        return np.ascontiguousarray(normalised.transpose(2, 0, 1))


def find(directory: Path) -> list[Path]:
    """The photographs in a directory, in the order of their names."""
    if not directory.is_dir():
        raise Failed(f"{directory} is no directory of photographs")
    found = sorted(file for file in directory.iterdir() if file.suffix.lower() in SUFFIXES)
    if not found:
        raise Failed(f"{directory} has no photographs")
    return found


def tensors(files: list[Path], preprocess: Preprocess) -> np.ndarray:
    """Of shape photographs, channels, height, width."""
    made = []
    for file in files:
        with Image.open(file) as picture:
            made.append(preprocess.tensor(picture))
    return np.stack(made)
