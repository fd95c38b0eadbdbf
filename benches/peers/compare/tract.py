"""Stock tract, as one more contestant: a program of its own in benches/tract.rs, which Cargo builds."""

import functools
import json
import subprocess
import tomllib
from pathlib import Path

from .process import Failed

NAME = "tract"


@functools.cache
def build() -> Path:
    """Its program; nothing is done where it is there already. Cargo says what it does on stderr."""
    command = ["cargo", "bench", "--locked", "--bench", NAME, "--no-run", "--message-format", "json"]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    except FileNotFoundError:
        raise Failed("cargo is not there to build it: install Rust, or leave tract out") from None
    if done.returncode:
        raise Failed(f"{' '.join(command)} failed: see above")
    for message in map(json.loads, done.stdout.splitlines()):
        if message.get("executable") and message["target"]["name"] == NAME:
            return Path(message["executable"])
    raise Failed(f"{' '.join(command)} made no program")


def version() -> str:
    packages = tomllib.loads(Path("Cargo.lock").read_text())["package"]
    return next(package["version"] for package in packages if package["name"] == "tract-onnx")
