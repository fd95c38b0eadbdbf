"""What is computed from measurements, without measuring anything."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

from .agreement import Agreement


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
    # From our logits, as a part of their range; of a float network.
    difference: float | None = None
    # With the float network, of a quantized one.
    agreement: Agreement | None = None

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

    @property
    def start_min_ms(self) -> float:
        return min(self.starts_ms)


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
    ratio_memory: float | None
    start_ms: float
    start_min_ms: float
    # Of the minima: a difference of two medians is mostly noise on a busy machine.
    net_start_ms: float
    ratio_start: float | None
    difference: float | None
    # Of a quantized network with the float one, over photographs: the part with the same class, and of the logits.
    agreement: float | None
    cosine: float | None


def ratio_of(ours: float, theirs: float) -> float | None:
    """Nothing where noise is larger than what is left after a subtraction."""
    return ours / theirs if ours > 0 and theirs > 0 else None


def geometric_mean(values: Iterable[float | None]) -> float | None:
    """Of those that there are."""
    logarithms = [math.log(value) for value in values if value is not None]
    return math.exp(sum(logarithms) / len(logarithms)) if logarithms else None


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
        return one.start_min_ms - (min(bare.starts_ms) if one.python else 0)

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
            ratio_memory=ratio_of(net_memory(first), net_memory(one)),
            start_ms=one.start_ms,
            start_min_ms=one.start_min_ms,
            net_start_ms=net_start(one),
            ratio_start=ratio_of(net_start(first), net_start(one)),
            difference=one.difference,
            agreement=one.agreement and one.agreement.part,
            cosine=one.agreement and one.agreement.cosine,
        )
        for name, one in measured.items()
    ]


RATIOS = ["ratio_median", "ratio_min", "ratio_memory", "ratio_start"]


def against_best(peers: list[Row], ratio: str) -> float | None:
    """Ours by the best of its peers on one network: the largest ratio."""
    return max((value for row in peers if (value := getattr(row, ratio)) is not None), default=None)


@dataclass
class Mean:
    """Geometric means of ratios by their names, and over how many networks."""

    networks: int
    ratios: dict[str, float | None]


def means(table: list[Row], ours: str) -> dict[str, Mean]:
    """For each peer, and for the best peer of each network."""
    by_peer: dict[str, list[Row]] = {}
    by_network: dict[str, list[Row]] = {}
    for row in table:
        if row.runtime != ours:
            by_peer.setdefault(row.runtime, []).append(row)
            by_network.setdefault(row.network, []).append(row)
    found = {
        peer: Mean(len(of), {ratio: geometric_mean(getattr(row, ratio) for row in of) for ratio in RATIOS})
        for peer, of in by_peer.items()
    }
    best = {
        ratio: geometric_mean(against_best(of, ratio) for of in by_network.values()) for ratio in RATIOS
    }
    if by_network:
        found["best of them"] = Mean(len(by_network), best)
    return found
