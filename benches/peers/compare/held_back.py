"""Photographs that no quantizer saw, on which a quantized network is compared with the float one."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .agreement import Agreement, agreement
from .contestants import Engine, Job, Program
from .networks import Network
from .photographs import Preprocess, find, tensors
from .process import Failed


@dataclass
class HeldBack:
    """They are in a file, as one network takes them; a row of the float network's logits for each."""

    pictures: Path
    logits: list[list[float]]

    def answers(self, contestant: Program | Engine) -> list[list[float]]:
        return contestant.all_logits(self.pictures).tolist()

    def agreement(self, answers: list[list[float]]) -> Agreement:
        try:
            return agreement(self.logits, answers)
        except ValueError as error:
            raise Failed(f"its logits cannot be compared with the float network's: {error}") from error


def hold_back(network: Network, photographs: Path, scratch: Path) -> HeldBack:
    """What the float network says is what onnxruntime says."""
    pictures = scratch / f"{network.name}.photographs.npy"
    np.save(pictures, tensors(find(photographs), Preprocess.of(network.onnx)))
    of_float = Engine("onnxruntime", Job(network, network.onnx, 1, scratch))
    return HeldBack(pictures, of_float.all_logits(pictures).tolist())
