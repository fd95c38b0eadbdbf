"""The measurements as text and as CSV."""

import csv
from dataclasses import asdict, fields
from pathlib import Path

from .figures import RATIOS, Measured, Row, against_best, means

HEADER = (
    f"{'':20} {'':12} {'median':>8} {'min':>8} {'ours / theirs':>15} {'of':>6}"
    f" {'memory':>8} {'net':>7} {'ours /':>7} {'start':>7} {'net':>7} {'ours /':>7}\n"
    f"{'network':20} {'runtime':12} {'ms':>8} {'ms':>8} {'median':>8} {'min':>6} {'peak':>6}"
    f" {'MB':>8} {'MB':>7} {'theirs':>7} {'ms':>7} {'ms':>7} {'theirs':>7}"
)

NOTES = """\
median: of the medians of the rounds; min: of all runs; peak: share of the f32 operations a second that this machine was
measured to do, at the median. Memory: the most that the process had resident; start: from starting a process to its
first result (of our programs: to their end, with the result in a file). Both net of a Python process with numpy and the
input but no engine, where the process is Python's. All times include the call from Python, where there is one. Ours
runs from its plan, as the others run from what their converters make; onnxruntime and openvino read ONNX. Ratios are of
the net figures; below 1, ours is better."""


def block(table: list[Row], ours: str) -> str:
    """One network's lines."""
    lines = []
    for row in table:
        share = f"{row.peak_share:6.1%}" if row.peak_share is not None else f"{'':6}"
        lines.append(
            f"{row.network:20} {row.runtime:12} {row.median_ms:8.2f} {row.min_ms:8.2f}"
            f" {row.ratio_median:8.2f} {row.ratio_min:6.2f} {share}"
            f" {row.memory_mb:8.1f} {row.net_memory_mb:7.1f} {row.ratio_memory:7.2f}"
            f" {row.start_ms:7.0f} {row.net_start_ms:7.0f} {row.ratio_start:7.2f}"
        )
    peers = [row for row in table if row.runtime != ours]
    if peers:
        median, least, memory, start = (against_best(peers, ratio) for ratio in RATIOS)
        lines.append(
            f"{'':20} {'the best':12} {'':8} {'':8} {median:8.2f} {least:6.2f} {'':6}"
            f" {'':8} {'':7} {memory:7.2f} {'':7} {'':7} {start:7.2f}"
        )
    return "\n".join(lines)


def summary(table: list[Row], ours: str) -> str:
    lines = [
        "Geometric means of ours / theirs over the networks",
        f"{'':20} {'networks':>8} {'median':>8} {'min':>8} {'memory':>8} {'start':>8}   logits differ by",
    ]
    for peer, of in means(table, ours).items():
        count = next(iter(of.values()))[1]
        apart = max((row.difference for row in table if row.runtime == peer), default=None)
        lines.append(
            f"{peer:20} {count:8} "
            + " ".join(f"{of[ratio][0]:8.3f}" for ratio in RATIOS)
            + (f"   {apart:.1e} of their range, at most" if apart is not None else "")
        )
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
