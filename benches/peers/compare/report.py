"""The measurements as text and as CSV."""

import csv
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path

from .figures import RATIOS, Measured, Row, against_best, means

# Name in the rows, heading of the group, heading, width, format.
COLUMNS = [
    ("median_ms", "", "median", 8, "8.2f"),
    ("min_ms", "", "min ms", 8, "8.2f"),
    ("peak_share", "of", "peak", 6, "6.1%"),
    ("ratio_median", "ours /", "median", 8, "8.2f"),
    ("ratio_min", "theirs", "min", 6, "6.2f"),
    ("memory_mb", "memory", "MB", 9, "9.1f"),
    ("net_memory_mb", "", "net", 7, "7.1f"),
    ("ratio_memory", "ours /", "theirs", 7, "7.2f"),
    ("start_ms", "start", "median", 8, "8.0f"),
    ("start_min_ms", "", "min ms", 7, "7.0f"),
    ("net_start_ms", "", "net", 6, "6.0f"),
    ("ratio_start", "ours /", "theirs", 7, "7.2f"),
]


def line(first: str, second: str, cells: Iterable[str]) -> str:
    return " ".join([f"{first:20}", f"{second:13}", *cells]).rstrip()


def number(value: float | None, form: str) -> str:
    """Blank where there is none."""
    return f"{value:{form}}" if value is not None else " " * int(form.split(".")[0])


HEADER = "\n".join([
    line("", "", (f"{group:>{width}}" for _, group, _, width, _ in COLUMNS)),
    line("network", "runtime", (f"{heading:>{width}}" for _, _, heading, width, _ in COLUMNS)),
])

NOTES = """\
median: of the medians of the rounds; min: of all runs; peak: share of the f32 operations a second that this machine was
measured to do, at the median. Memory: the most that the process had resident; start: from starting a process to its
first result (of our program and tract: to their end, with the result in a file). Net: less a Python process with numpy
and the input but no engine, where the process is Python's; of the start, less its minimum from the minimum. All times
include the call from Python, where there is one. Ours runs from its plan, as others run from what their converters
make; onnxruntime, openvino and tract read ONNX. Ratios are of the net figures; below 1, ours is better."""


def block(table: list[Row], ours: str) -> str:
    """One network's lines."""
    lines = [
        line(row.network, row.runtime, (number(getattr(row, name), form) for name, *_, form in COLUMNS)) for row in table
    ]
    peers = [row for row in table if row.runtime != ours]
    if peers:
        best = {ratio: against_best(peers, ratio) for ratio in RATIOS}
        lines.append(line("", "best of them", (number(best.get(name), form) for name, *_, form in COLUMNS)))
    return "\n".join(lines)


def summary(table: list[Row], ours: str) -> str:
    lines = [
        "Geometric means of ours / theirs over the networks",
        f"{'':20} {'networks':>8} {'median':>8} {'min':>8} {'memory':>8} {'start':>8}   logits differ by",
    ]
    for peer, mean in means(table, ours).items():
        ratios = " ".join(number(mean.ratios[ratio], "8.3f") for ratio in RATIOS)
        apart = max((row.difference for row in table if row.runtime == peer), default=None)
        said = f"   {apart:.1e} of their range, at most" if apart is not None else ""
        lines.append(f"{peer:20} {mean.networks:8} {ratios}{said}")
    return "\n".join(lines)


def described(machine: dict[str, str]) -> str:
    return "\n".join(f"{key:12} {value}" for key, value in machine.items())


def write_figures(file: Path, table: list[Row]):
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        for row in table:
            writer.writerow({
                key: f"{value:.6g}" if isinstance(value, float) else value for key, value in asdict(row).items()
            })


def write_rounds(file: Path, measured: dict[tuple[str, int], dict[str, Measured]]):
    """Every burst: who wants other statistics can make them."""
    with file.open("w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["network", "threads", "round", "runtime", "median_ms", "min_ms", "runs", "peak_rss_bytes"])
        for (network, threads), of in measured.items():
            for runtime, one in of.items():
                for number, burst in enumerate(one.bursts):
                    figures = [f"{burst.median_ms:.4f}", f"{burst.min_ms:.4f}", burst.runs, burst.peak_rss_bytes]
                    writer.writerow([network, threads, number, runtime, *figures])
