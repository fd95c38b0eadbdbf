"""What is computed from measurements, without measuring anything."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median


@dataclass
class Burst:
    """Some runs of one contestant right after each other."""

    median_ms: float
    min_ms: float
    runs: int
    peak_rss_bytes: int
    # What only our own programs say.
    peak_gflops: float | None = None
    multiply_adds: int | None = None
    isa: str | None = None


@dataclass
class Measured:
    """All of one contestant on one network."""

    # A Python process: what an empty one takes is to be subtracted.
    python: bool
    bursts: list[Burst] = field(default_factory=list)
    starts_ms: list[float] = field(default_factory=list)
    # From our logits, as a part of their range.
    difference: float = 0.0

    @property
    def median_ms(self) -> float:
        return median(burst.median_ms for burst in self.bursts)

    @property
    def min_ms(self) -> float:
        return min(burst.min_ms for burst in self.bursts)

    @property
    def peak_rss_bytes(self) -> int:
        return max(burst.peak_rss_bytes for burst in self.bursts)

    @property
    def start_ms(self) -> float:
        return median(self.starts_ms)


@dataclass
class Bare:
    """A Python process with numpy and the input, and no engine."""

    rss_bytes: list[int] = field(default_factory=list)
    starts_ms: list[float] = field(default_factory=list)


@dataclass
class Row:
    """A line of the report: one contestant on one network. Ratios are ours by theirs: below 1 where ours is better."""

    network: str
    threads: int
    runtime: str
    median_ms: float
    min_ms: float
    ratio_median: float
    ratio_min: float
    peak_share: float | None
    memory_mb: float
    net_memory_mb: float
    ratio_memory: float
    start_ms: float
    net_start_ms: float
    ratio_start: float
    difference: float


def geometric_mean(values: Iterable[float]) -> float:
    values = list(values)
    if not values:
        raise ValueError("no values to take the mean of")
    return math.exp(sum(map(math.log, values)) / len(values))


def peak_share(multiply_adds: int | None, ms: float, peak_gflops: float | None) -> float | None:
    """Of the machine's operations a second; a multiply-add is two."""
    if not multiply_adds or not peak_gflops:
        return None
    return 2 * multiply_adds / (ms * 1e6) / peak_gflops


def rows(network: str, threads: int, ours: str, measured: dict[str, Measured], bare: Bare) -> list[Row]:
    """Of all contestants on one network; `ours` is the name of the one that the others are compared with."""
    bursts = measured[ours].bursts
    peak = max((burst.peak_gflops for burst in bursts if burst.peak_gflops), default=None)
    multiply_adds = bursts[0].multiply_adds

    def net_memory(one: Measured) -> float:
        return one.peak_rss_bytes - (median(bare.rss_bytes) if one.python else 0)

    def net_start(one: Measured) -> float:
        return one.start_ms - (median(bare.starts_ms) if one.python else 0)

    first = measured[ours]
    return [
        Row(
            network=network,
            threads=threads,
            runtime=name,
            median_ms=one.median_ms,
            min_ms=one.min_ms,
            ratio_median=first.median_ms / one.median_ms,
            ratio_min=first.min_ms / one.min_ms,
            peak_share=peak_share(multiply_adds, one.median_ms, peak),
            memory_mb=one.peak_rss_bytes / 1e6,
            net_memory_mb=net_memory(one) / 1e6,
            ratio_memory=net_memory(first) / net_memory(one),
            start_ms=one.start_ms,
            net_start_ms=net_start(one),
            ratio_start=net_start(first) / net_start(one),
            difference=one.difference,
        )
        for name, one in measured.items()
    ]


RATIOS = ["ratio_median", "ratio_min", "ratio_memory", "ratio_start"]


def against_best(peers: list[Row], ratio: str) -> float:
    """Ours by the best of its peers on one network: the largest ratio."""
    return max(getattr(row, ratio) for row in peers)


def means(table: list[Row], ours: str) -> dict[str, dict[str, tuple[float, int]]]:
    """For each peer, and for the best peer of each network, the geometric mean of each ratio and of how many networks."""
    by_peer: dict[str, list[Row]] = {}
    by_network: dict[str, list[Row]] = {}
    for row in table:
        if row.runtime != ours:
            by_peer.setdefault(row.runtime, []).append(row)
            by_network.setdefault(row.network, []).append(row)
    found = {
        peer: {ratio: (geometric_mean(getattr(row, ratio) for row in of), len(of)) for ratio in RATIOS}
        for peer, of in by_peer.items()
    }
    if by_network:
        found["best of them"] = {
            ratio: (geometric_mean(against_best(of, ratio) for of in by_network.values()), len(by_network))
            for ratio in RATIOS
        }
    return found
