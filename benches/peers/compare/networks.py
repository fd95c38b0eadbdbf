"""The networks as files: exported by our program with synthetic weights, compiled by it, and an input for all."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

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
SEED = 1


@dataclass
class Network:
    name: str
    onnx: Path
    plan: Path
    input: Path


def call(*command) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed: {done.stderr.strip()}")


def prepare(program: Path, name: str, directory: Path) -> Network:
    """Made anew each time: it takes a second, and the program may have changed."""
    directory.mkdir(parents=True, exist_ok=True)
    model, plan, source = (directory / f"{name}{suffix}" for suffix in (".onnx", ".plan", ".input.npy"))
    # Folded: every runtime starts from what is best for it, and some do not fold behind a concatenation.
    call(program, "export", name, "--weights", f"synthetic:{SEED}", "--fold-bn", "-o", model)
    call(program, "compile", model, "-o", plan)
    shape = [dim.dim_value for dim in onnx.load(model).graph.input[0].type.tensor_type.shape.dim]
    picture = np.random.default_rng(SEED).uniform(-2, 2, shape).astype(np.float32)
    np.save(source, picture)
    return Network(name, model, plan, source)
