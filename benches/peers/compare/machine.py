"""What the figures were taken on and with, for the record."""

import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from . import tract
from .engines import INT8_SETTINGS, PACKAGES, SETTINGS

# Of the many that a processor lists, those that an engine may choose its kernels by.
FEATURES = ("avx", "fma", "f16c", "amx", "asimd", "neon", "fphp", "sve", "i8mm", "bf16")

# Load for each core, above which times are those of a shared machine.
BUSY = 0.25


def processor() -> tuple[str, list[str]]:
    """Name and features of the first core."""
    fields: dict[str, str] = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    listed = fields.get("flags", fields.get("Features", "")).split()
    name = fields.get("model name") or f"part {fields.get('CPU part', 'unknown')}"
    family = [f"{key} {fields[key]}" for key in ("cpu family", "model", "stepping") if key in fields]
    features = sorted(feature for feature in listed if feature.startswith(FEATURES))
    return ", ".join([name, *family]), features


def load() -> str:
    """The load averages over 1, 5 and 15 minutes."""
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def busy(cores: int) -> str | None:
    """A warning, if others were at work just now."""
    of_late = os.getloadavg()[0]
    if of_late < BUSY * cores:
        return None
    return f"load {of_late:.1f} on {cores} cores: the medians tell of other programs, too; compare the minima"


def version(peer: str) -> str:
    return metadata.version(PACKAGES.get(peer, peer))


def describe(peers: list[str], flags: list[str], int8: bool) -> dict[str, str]:
    name, features = processor()
    cores = len(os.sched_getaffinity(0))
    described = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": name,
        "features": " ".join(features),
        "cores": str(cores),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}, Python {platform.python_version()}",
        "flags": " ".join(flags) or "none",
        "load before": load(),
    }
    if warning := busy(cores):
        described["warning"] = warning
    settings = SETTINGS | INT8_SETTINGS if int8 else SETTINGS
    for peer in peers:
        if peer in settings:
            described[peer] = f"{version(peer)}; {settings[peer]}"
        elif peer == tract.NAME:
            described[peer] = f"{tract.version()}; optimized, from ONNX{' as onnxruntime quantizes it' if int8 else ''}"
    return described
