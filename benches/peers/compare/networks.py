"""The networks as files: exported by our program with synthetic weights, compiled by it, and an input for all."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from .kept import digest, digest_of_all, kept
from .photographs import find
from .process import call

NETWORKS = [
    "mobilenetv3_100",
    "mobilenetv2_100",
    "efficientnet_b0",
    "efficientnet_lite0",
    "mixnet_m",
    "mnasnet_a1",
    "fbnetc_100",
    "spnasnet_100",
    "tf_efficientnet_b0",
    "mobilenetv1_100",
]
# Those compared in int8 where none are named.
INT8_NETWORKS = ["mobilenetv2_100", "mobilenetv3_100", "efficientnet_lite0", "efficientnet_b0", "mixnet_m"]
SEED = 1


@dataclass
class Network:
    name: str
    onnx: Path
    plan: Path
    input: Path


def compile_to_int8(program: Path, model: Path, photographs: Path) -> Path:
    """The plan, kept as long as the program stays the same: it may take a minute."""
    def make(plan: Path):
        call([program, "compile", model, "--int8", "--calibration", photographs, "-o", plan])

    made_from = f"{digest(model)} {digest(program)} {digest_of_all(find(photographs))}\n"
    return kept(model.with_suffix(".int8.plan"), made_from, make)


def prepare(program: Path, name: str, directory: Path, photographs: Path | None = None) -> Network:
    """Made anew each time: it takes a second, and the program may have changed. With photographs the plan is int8."""
    directory.mkdir(parents=True, exist_ok=True)
    model, plan, source = (directory / f"{name}{suffix}" for suffix in (".onnx", ".plan", ".input.npy"))
    # Folded: every runtime starts from what is best for it, and some do not fold behind a concatenation.
    call([program, "export", name, "--weights", f"synthetic:{SEED}", "--fold-bn", "-o", model])
    if photographs:
        plan = compile_to_int8(program, model, photographs)
    else:
        call([program, "compile", model, "-o", plan])
    shape = [dim.dim_value for dim in onnx.load(model).graph.input[0].type.tensor_type.shape.dim]
    picture = np.random.default_rng(SEED).uniform(-2, 2, shape).astype(np.float32)
    np.save(source, picture)
    return Network(name, model, plan, source)
