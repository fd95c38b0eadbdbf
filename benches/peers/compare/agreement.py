"""How near a quantized network's answers are to those of the float network. No numpy: it is tested without."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest

TOP = 5
# Of the photographs on which the class is the float network's, and of the cosine of the logits. Below them something has
# gone wrong.
FLOOR = 0.5
COSINE_FLOOR = 0.99
# With synthetic weights a network may give nearly the same logits for all photographs. Where the float network gives
# fewer classes than these, the smallest error may change the class of all, and its part tells nothing.
TELLING_CLASSES = 10

Logits = Sequence[float]


@dataclass
class Agreement:
    """Over some photographs."""

    photographs: int
    # On so many, the first class is the float network's.
    same: int
    # The part of the float network's first five classes that are among the first five, on average.
    top5: float
    # Of the angle between the vectors of logits: on average, and on the worst photograph.
    cosine: float
    least_cosine: float

    @property
    def part(self) -> float:
        return self.same / self.photographs


def first(logits: Logits, count: int = 1) -> list[int]:
    """The classes of the largest logits, the largest first, and of equal ones the lower index."""
    return nlargest(count, range(len(logits)), key=lambda index: (logits[index], -index))


def cosine(one: Logits, other: Logits) -> float:
    """Nothing is like a vector of zeros."""
    lengths = math.hypot(*one) * math.hypot(*other)
    return math.fsum(a * b for a, b in zip(one, other, strict=True)) / lengths if lengths else 0.0


def agreement(of_float: Sequence[Logits], quantized: Sequence[Logits]) -> Agreement:
    """A row of logits for each photograph; ValueError if they are not as many, or no numbers."""
    if not of_float or len(of_float) != len(quantized):
        raise ValueError(f"logits of {len(quantized)} photographs and not of {len(of_float)}")
    if not all(math.isfinite(value) for row in quantized for value in row):
        raise ValueError("some logits are infinite or no numbers")
    pairs = list(zip(of_float, quantized, strict=True))
    cosines = [cosine(*pair) for pair in pairs]
    common = [len(set(first(a, TOP)) & set(first(b, TOP))) / min(TOP, len(a)) for a, b in pairs]
    return Agreement(
        photographs=len(pairs),
        same=sum(first(a) == first(b) for a, b in pairs),
        top5=math.fsum(common) / len(pairs),
        cosine=math.fsum(cosines) / len(pairs),
        least_cosine=min(cosines),
    )


def right(logits: Sequence[Logits], accepted: Sequence[set[int]]) -> int:
    """On how many photographs the first class is one that is accepted."""
    return sum(first(row)[0] in classes for row, classes in zip(logits, accepted, strict=True))


def classes(of_float: Sequence[Logits]) -> int:
    """How many classes the float network gives first."""
    return len({first(row)[0] for row in of_float})


def too_unlike(found: Agreement, float_classes: int) -> str | None:
    """What is wrong with a quantized network, if it is."""
    said = f"it gives the class of the float network on {found.same} of {found.photographs} photographs"
    if not found.cosine >= COSINE_FLOOR:
        return f"the cosine of its logits with the float network's is {found.cosine:.4f}, below {COSINE_FLOOR}; {said}"
    if float_classes >= TELLING_CLASSES and found.part < FLOOR:
        return f"{said}, below {FLOOR:.0%}; cosine {found.cosine:.4f}"
    return None
