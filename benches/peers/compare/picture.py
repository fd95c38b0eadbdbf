"""The measurements as a picture: time, memory and start of each runtime on each network."""

import textwrap
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from .figures import Row

matplotlib.use("Agg")
PANELS = [
    ("median_ms", "min_ms", "inference, ms (line: minimum)"),
    ("net_memory_mb", None, "memory beyond Python, MB"),
    ("net_start_ms", None, "start to first result beyond Python, ms"),
]


def draw(file: Path, table: list[Row], machine: dict[str, str], ours: str):
    counts = sorted({row.threads for row in table})
    runtimes = list(dict.fromkeys(row.runtime for row in table))
    colours = dict(zip(runtimes, matplotlib.colormaps["tab10"].colors, strict=False))
    figure = Figure(figsize=(13 * len(counts), 11), layout="constrained")
    grid = figure.subplots(len(PANELS), len(counts), squeeze=False)
    for column, threads in enumerate(counts):
        found = {(row.network, row.runtime): row for row in table if row.threads == threads}
        networks = list(dict.fromkeys(network for network, _ in found))
        width = 0.84 / len(runtimes)
        for line, (height, mark, title) in enumerate(PANELS):
            axes = grid[line][column]
            for position, runtime in enumerate(runtimes):
                rows = [(x, found[key]) for x, network in enumerate(networks) if (key := (network, runtime)) in found]
                places = [x - 0.42 + width * (position + 0.5) for x, _ in rows]
                heights = [getattr(row, height) for _, row in rows]
                axes.bar(places, heights, width, label=runtime, color=colours[runtime],
                         edgecolor="black" if runtime == ours else "none", linewidth=0.8)
                if mark:
                    least = [getattr(row, mark) for _, row in rows]
                    axes.hlines(least, [p - width / 2 for p in places], [p + width / 2 for p in places], "black", lw=1)
            axes.set_xticks(range(len(networks)), networks, rotation=20, ha="right")
            axes.set_ylabel(title)
            axes.grid(axis="y", alpha=0.3)
            axes.set_axisbelow(True)
        grid[0][column].set_title(f"{threads} thread{'s' if threads > 1 else ''}")
    grid[0][0].legend(ncols=len(runtimes), fontsize="small")
    said = "; ".join(f"{key} {value}" for key, value in machine.items() if key != "features")
    figure.supxlabel(textwrap.fill(said, 190 * len(counts)), fontsize="small")
    figure.savefig(file, dpi=100)
