"""Compare what int8 costs in accuracy, by our program and by other runtimes' tools with the same photographs."""

import argparse
import subprocess
import sys
from pathlib import Path

# Of the tests: the published weights, how they are exported, and the classes accepted of each photograph.
import real_weights
from compare.agreement import right
from compare.contestants import Engine, Job, Program, end_when_asked
from compare.convert import QUANTIZERS, convert_to_int8
from compare.held_back import hold_back
from compare.networks import Network, compile_to_int8
from compare.photographs import find
from compare.process import Failed

from . import table

OURS = "edge-classify"
PUBLISHED = {network.name: network for network in real_weights.NETWORKS}
DEFAULT = ["tf_efficientnet_lite0", "mobilenetv2_100"]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benches/accuracy/run.sh", description=__doc__)
    add = parser.add_argument
    networks = f"of {', '.join(PUBLISHED)} [default: {' '.join(DEFAULT)}]"
    add("--networks", nargs="+", default=DEFAULT, choices=PUBLISHED, metavar="NAME", help=networks)
    runtimes = [OURS, *QUANTIZERS]
    chosen = f"of {', '.join(runtimes)} [default: all]"
    add("--runtimes", nargs="+", default=runtimes, choices=runtimes, metavar="NAME", help=chosen)
    unlabelled = real_weights.PHOTOS.relative_to(real_weights.ROOT) / "calibration"
    photographs = "directory of photographs to quantize with [default: %(default)s]"
    add("--calibration", type=Path, default=unlabelled, metavar="DIR", help=photographs)
    add("--program", type=Path, default=Path("target/release/edge-classify"), help="[default: %(default)s]")
    add("--output", type=Path, default=Path("target/accuracy"), help="directory [default: %(default)s]")
    return parser.parse_args()


def export(program: Path, name: str, directory: Path) -> Network:
    """With its published weights, and batch normalisation folded: some tools do not fold it."""
    directory.mkdir(parents=True, exist_ok=True)
    published = PUBLISHED[name]
    published = published._replace(options=(*published.options, "--fold-bn"))
    try:
        model = real_weights.export(program, published, directory)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Failed(f"{name} could not be exported: {error}") from error
    return Network(name, model, model.with_suffix(".plan"), model.with_suffix(".input.npy"))


def accepted() -> list[set[int]]:
    """The classes that are right, for each labelled photograph in the order of their names."""
    rows = real_weights.rows(real_weights.PHOTOS / "SOURCES.csv")
    classes = (rows[file.stem]["accepted_imagenet_indices"] for file in find(real_weights.PHOTOS / "labelled"))
    return [set(map(int, text.split())) for text in classes]


def size(file: Path) -> int:
    """Of a model in bytes, with the weights beside it where they are in a file of their own."""
    weights = file.with_suffix(".bin")
    return file.stat().st_size + (weights.stat().st_size if file.suffix == ".xml" else 0)


class Accuracy:
    def __init__(self, chosen: argparse.Namespace):
        self.chosen = chosen
        self.rows: list[table.Row] = []
        self.left_out: list[str] = []
        self.scratch = chosen.output / "scratch"
        self.scratch.mkdir(parents=True, exist_ok=True)
        self.accepted = accepted()

    def contestant(self, runtime: str, network: Network) -> Program | Engine:
        """With the network that its own tool has quantized."""
        program, photographs = self.chosen.program, self.chosen.calibration
        if runtime == OURS:
            plan = compile_to_int8(program, network.onnx, photographs)
            return Program(OURS, Job(network, plan, 1, self.scratch), [program, "bench"], [program, "infer"])
        file = convert_to_int8(runtime, network, photographs, self.chosen.output / "converted")
        return Engine(runtime, Job(network, file, 1, self.scratch))

    def measure(self, network: Network):
        held_back = hold_back(network, real_weights.PHOTOS / "labelled", self.scratch)

        def add(runtime: str, answers: list[list[float]], file: Path):
            found = held_back.agreement(answers)
            self.rows.append(table.row(network.name, runtime, right(answers, self.accepted), found, size(file)))
            print(table.line(self.rows[-1]), flush=True)

        add("float", held_back.logits, network.onnx)
        for runtime in self.chosen.runtimes:
            try:
                contestant = self.contestant(runtime, network)
                add(runtime, held_back.answers(contestant), contestant.job.file)
            except Failed as failure:
                self.left_out.append(f"{network.name}: {runtime} is left out: {failure}")
                print(self.left_out[-1], flush=True)

    def write(self):
        output = self.chosen.output
        report, figures = output / "report.txt", output / "figures.csv"
        notes = "\n".join([*self.left_out, "", table.NOTES])
        report.write_text("\n".join([table.HEADER, *map(table.line, self.rows), "", notes]) + "\n")
        table.write(figures, self.rows)
        print(f"\n{table.NOTES}\n\nWritten: {report}, {figures}")


def main() -> int:
    chosen = options()
    end_when_asked()
    status = 0
    accuracy = Accuracy(chosen)
    try:
        print(table.HEADER, flush=True)
        for name in chosen.networks:
            accuracy.measure(export(chosen.program, name, chosen.output / "models"))
    except KeyboardInterrupt:
        print("\ninterrupted: what was found before is kept", file=sys.stderr)
        status = 130
    except Failed as failure:
        print(f"stopped: {failure}", file=sys.stderr)
        status = 1
    if accuracy.rows:
        accuracy.write()
    return status


if __name__ == "__main__":
    sys.exit(main())
