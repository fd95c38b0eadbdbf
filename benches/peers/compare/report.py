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
# Of quantized networks only.
AGREEMENT_COLUMNS = [
    ("agreement", "as", "float", 7, "7.1%"),
    ("cosine", "logits'", "cosine", 8, "8.4f"),
]


def line(first: str, second: str, cells: Iterable[str]) -> str:
    return " ".join([f"{first:20}", f"{second:13}", *cells]).rstrip()


def number(value: float | None, form: str) -> str:
    """Blank where there is none."""
    return f"{value:{form}}" if value is not None else " " * int(form.split(".")[0])



def columns(int8: bool) -> list[tuple]:
    return COLUMNS + AGREEMENT_COLUMNS if int8 else COLUMNS


def header(int8: bool) -> str:
    return "\n".join([
        line("", "", (f"{group:>{width}}" for _, group, _, width, _ in columns(int8))),
        line("network", "runtime", (f"{heading:>{width}}" for _, _, heading, width, _ in columns(int8))),
    ])


NOTES = """\
median: of the medians of the rounds; min: of all runs; peak: share of the f32 operations a second that this machine was
measured to do, at the median. Memory: the most that the process had resident; start: from starting a process to its
first result (of our program and tract: to their end, with the result in a file). Net: less a Python process with numpy
and the input but no engine, where the process is Python's; of the start, less its minimum from the minimum. All times
include the call from Python, where there is one. Ours runs from its plan, as others run from what their converters
make; onnxruntime, openvino and tract read ONNX. Ratios are of the net figures; below 1, ours is better."""

INT8_NOTES = """\
As float: on how many of the photographs, which were not used to calibrate, a quantized network gives the class that the
float network gives in onnxruntime; cosine: of the angle between the two's logits, on average. With synthetic weights
these find what is broken, not what is good: the float network's own logits for two photographs may be as much alike.
Who fails is timed all the same: a better calibration would not change the time. What is not quantized is computed in
f32; LiteRT's input is quantized beforehand."""


def notes(int8: bool) -> str:
    return f"{NOTES}\n{INT8_NOTES}" if int8 else NOTES


def block(table: list[Row], ours: str) -> str:
    """One network's lines."""
    shown = columns(any(row.agreement is not None for row in table))
    lines = [
        line(row.network, row.runtime, (number(getattr(row, name), form) for name, *_, form in shown)) for row in table
    ]
    peers = [row for row in table if row.runtime != ours]
    if peers:
        best = {ratio: against_best(peers, ratio) for ratio in RATIOS}
        lines.append(line("", "best of them", (number(best.get(name), form) for name, *_, form in shown)))
    return "\n".join(lines)


def summary(table: list[Row], ours: str) -> str:
    lines = [
        "Geometric means of ours / theirs over the networks",
        f"{'':20} {'networks':>8} {'median':>8} {'min':>8} {'memory':>8} {'start':>8}",
    ]
    for peer, mean in means(table, ours).items():
        ratios = " ".join(number(mean.ratios[ratio], "8.3f") for ratio in RATIOS)
        said = nearness([row for row in table if row.runtime == peer])
        lines.append(f"{peer:20} {mean.networks:8} {ratios}   {said}".rstrip())
    return "\n".join(lines)


def nearness(of_peer: list[Row]) -> str:
    """How far a peer's answers are from what they are checked against, at most."""
    differences = [row.difference for row in of_peer if row.difference is not None]
    agreements = [row.agreement for row in of_peer if row.agreement is not None]
    if differences:
        return f"logits differ by {max(differences):.1e} of their range, at most"
    if agreements:
        return f"as float on {min(agreements):.1%} of the photographs, at least"
    return ""


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
