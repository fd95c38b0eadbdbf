"""What was found, as text and as CSV."""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from compare.agreement import Agreement


@dataclass
class Row:
    """One network by one runtime. Counts are of photographs."""

    network: str
    runtime: str
    # On so many of the photographs the first class is one that is right.
    right: int
    photographs: int
    # With the float network, on the same photographs: the same first class; means of the rest.
    same: int
    agreement: float
    top5: float
    cosine: float
    least_cosine: float
    megabytes: float


def row(network: str, runtime: str, right: int, found: Agreement, size: int) -> Row:
    """`size` in bytes."""
    return Row(
        network=network,
        runtime=runtime,
        right=right,
        photographs=found.photographs,
        same=found.same,
        agreement=found.part,
        top5=found.top5,
        cosine=found.cosine,
        least_cosine=found.least_cosine,
        megabytes=size / 1e6,
    )


WIDTHS = [22, 13, 7, 8, 7, 7, 8, 8, 7]


def aligned(cells: Sequence[str]) -> str:
    """The two names to the left, figures to the right."""
    pairs = zip(cells, WIDTHS, strict=True)
    return " ".join(f"{cell:{'<' if place < 2 else '>'}{width}}" for place, (cell, width) in enumerate(pairs))


HEADER = "\n".join([
    aligned(["", "", "top-1", "same as", "", "top 5", "logits'", "cosine", "file"]),
    aligned(["network", "runtime", "right", "float", "", "common", "mean", "least", "MB"]),
])

NOTES = """\
Right: on how many of the labelled photographs the first class is one of those accepted. The others compare with the
float network in onnxruntime, on the same photographs, none of which were used to quantize: how often the first class is
the same, how many of the first five classes are common, the cosine of the angle between the vectors of logits."""


def line(of: Row) -> str:
    right, same = (f"{count}/{of.photographs}" for count in (of.right, of.same))
    nearness = [f"{of.agreement:.1%}", f"{of.top5:.1%}", f"{of.cosine:.4f}", f"{of.least_cosine:.4f}"]
    return aligned([of.network, of.runtime, right, same, *nearness, f"{of.megabytes:.2f}"])


def write(file: Path, table: list[Row]):
    with file.open("w", newline="") as out:
        writer = csv.DictWriter(out, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        for of in table:
            values = asdict(of).items()
            writer.writerow({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in values})
