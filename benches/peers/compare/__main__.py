"""Compare our program with other runtimes: the same networks, weights and input, in turns on this machine."""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from . import picture, report, tract
from .agreement import TELLING_CLASSES, classes, too_unlike
from .check import agree
from .contestants import Engine, Job, Program, bare_start, end_when_asked
from .convert import convert, convert_to_int8
from .engines import PEERS
from .figures import Bare, Measured, Row, rows
from .held_back import hold_back
from .kept import digest
from .machine import describe, load
from .networks import INT8_NETWORKS, NETWORKS, Network, prepare
from .process import Failed

OURS = "edge-classify"
PHOTOS = Path("tests/photos")
# After a burst on several threads an engine's own threads may wait busily for more work.
SETTLE_S = 0.3


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benches/peers/run.sh", description=__doc__)
    add = parser.add_argument
    add("--networks", nargs="+", metavar="NAME", help="of the zoo [default: ten; with --int8, five of them]")
    add("--threads", nargs="+", type=int, default=[1], metavar="N", help="one comparison each [default: 1]")
    add("--rounds", type=int, default=20, help="in each of which every runtime has a turn [default: 20]")
    add("--seconds", type=float, default=0.4, help="of a turn, after its warm-up [default: 0.4]")
    add("--starts", type=int, default=7, help="processes started to time that [default: 7]")
    peers = f"of {', '.join(PEERS)} [default: these], and {tract.NAME}, which Cargo builds first"
    add("--peers", nargs="+", default=PEERS, choices=[*PEERS, tract.NAME], metavar="NAME", help=peers)
    add("--program", type=Path, default=Path("target/release/edge-classify"), help="[default: %(default)s]")
    add("--output", type=Path, help="directory [default: target/peers; with --int8, target/peers/int8]")
    add("--int8", action="store_true", help="quantized networks, by each runtime's own tool")
    said = "photographs %s with --int8 [default: %%(default)s]"
    add("--calibration", type=Path, metavar="DIR", default=PHOTOS / "calibration", help=said % "to quantize by")
    add("--photographs", type=Path, metavar="DIR", default=PHOTOS / "labelled", help=said % "to check answers on")
    chosen = parser.parse_args()
    chosen.networks = chosen.networks or (INT8_NETWORKS if chosen.int8 else NETWORKS)
    chosen.output = chosen.output or Path("target/peers/int8" if chosen.int8 else "target/peers")
    if min(*chosen.threads, chosen.rounds, chosen.starts, chosen.seconds) <= 0:
        parser.error("--threads, --rounds, --starts and --seconds have to be above 0")
    if not chosen.program.is_file():
        parser.error(f"{chosen.program} is not there: build it with `make`, or name it with --program")
    return chosen


def advice(contestant: Program | Engine) -> str:
    job = contestant.job
    if job.file in (job.network.onnx, job.network.plan):
        return f"it read {job.file}"
    return f"it read {job.file}; if that is damaged, remove it to have it made again"


class Comparison:
    def __init__(self, chosen: argparse.Namespace):
        self.chosen = chosen
        self.measured: dict[tuple[str, int], dict[str, Measured]] = {}
        self.table: list[Row] = []
        self.remarks: list[str] = []

    def remark(self, text: str):
        self.remarks.append(text)
        print(text, flush=True)

    def leave_out(self, runtime: str, network: str, why: str):
        self.remark(f"{network}: {runtime} is left out: {why}")

    def converted(self, peer: str, network: Network) -> Path:
        """The file that a peer is to read."""
        directory = self.chosen.output / "converted"
        if not self.chosen.int8:
            return convert(peer, network, directory)
        # Stock tract has no tool of its own.
        tool = "onnxruntime" if peer == tract.NAME else peer
        return convert_to_int8(tool, network, self.chosen.calibration, directory)

    def contestants(self, network: Network, threads: int) -> dict[str, Program | Engine]:
        """All that could be set up, ours first."""
        scratch = self.chosen.output / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        job = Job(network, network.plan, threads, scratch)
        found: dict[str, Program | Engine] = {
            OURS: Program(OURS, job, [self.chosen.program, "bench"], [self.chosen.program, "infer"], ["--json"])
        }
        for peer in self.chosen.peers:
            try:
                job = Job(network, self.converted(peer, network), threads, scratch)
                if peer == tract.NAME:
                    program = tract.build()
                    found[peer] = Program(peer, job, [program], [program])
                else:
                    found[peer] = Engine(peer, job)
            except Failed as failure:
                self.leave_out(peer, network.name, str(failure))
        return found

    def compare(self, network: Network, threads: int):
        contestants = self.contestants(network, threads)
        measured = {name: Measured(contestant.python) for name, contestant in contestants.items()}
        bare = Bare()
        held_back = None
        if self.chosen.int8:
            held_back = hold_back(network, self.chosen.photographs, self.chosen.output / "scratch")
            float_classes = classes(held_back.logits)
            if float_classes < TELLING_CLASSES:
                count = f"classes for {len(held_back.logits)} photographs: {float_classes}"
                self.remark(f"{network.name}: the float network's {count}; to give the same ones tells little")

        def each(what, order: list[str]):
            """For all still in: who fails is out."""
            for name in order:
                if name not in contestants:
                    continue
                try:
                    what(name, contestants[name])
                except Failed as failure:
                    if name == OURS:
                        raise Failed(f"{network.name}: {failure}") from failure
                    contestant = contestants.pop(name)
                    self.leave_out(name, network.name, f"{failure} ({advice(contestant)})")
                    contestant.close()
                    measured.pop(name)

        logits = {}

        def first(name, contestant):
            logits[name] = contestant.first_logits()

        def start(name, contestant):
            measured[name].starts_ms.append(contestant.start_ms())

        def turn(name, contestant):
            measured[name].bursts.append(contestant.burst(self.chosen.seconds))
            if threads > 1:
                time.sleep(SETTLE_S)

        def check(name, contestant):
            if held_back is None:
                measured[name].difference = agree(logits[OURS], logits[name])
                return
            measured[name].agreement = held_back.agreement(held_back.answers(contestant))
            if why := too_unlike(measured[name].agreement, float_classes):
                self.remark(f"{network.name}: {name} FAILS: {why}")

        names = list(contestants)
        try:
            each(first, names)
            each(check, names)
            if names != [OURS] and list(contestants) == [OURS]:
                raise Failed(f"{network.name}: no peer is left; if all give other logits, ours are wrong")
            for _ in range(self.chosen.starts):
                ms, rss = bare_start(contestants[OURS].job)
                bare.starts_ms.append(ms)
                bare.rss_bytes.append(rss)
                each(start, names)
            for number in range(self.chosen.rounds):
                # Each is first once in a while, and after another one.
                shift = number % len(names)
                each(turn, names[shift:] + names[:shift])
        finally:
            for contestant in contestants.values():
                contestant.close()
        self.measured[network.name, threads] = measured
        lines = rows(network.name, threads, OURS, measured, bare)
        self.table += lines
        print(report.block(lines, OURS), flush=True)

    def write(self, machine: dict[str, str]):
        output = self.chosen.output
        texts = [report.described(machine)]
        for threads in dict.fromkeys(row.threads for row in self.table):
            of = [row for row in self.table if row.threads == threads]
            blocks = [
                report.block([row for row in of if row.network == network], OURS)
                for network in dict.fromkeys(row.network for row in of)
            ]
            means = report.summary(of, OURS)
            print(f"\nThreads: {threads}\n{means}")
            texts.append("\n".join([f"Threads: {threads}", report.header(self.chosen.int8), *blocks, "", means]))
        notes = report.notes(self.chosen.int8)
        texts += ["\n".join(self.remarks)] if self.remarks else []
        texts.append(notes)
        files = [output / name for name in ("report.txt", "figures.csv", "rounds.csv", "machine.json", "figures.png")]
        files[0].write_text("\n\n".join(texts) + "\n")
        report.write_figures(files[1], self.table)
        report.write_rounds(files[2], self.measured)
        files[3].write_text(json.dumps(machine | {"remarks": self.remarks}, indent=2) + "\n")
        picture.draw(files[4], self.table, machine, OURS)
        print("\n" + "\n".join([*self.remarks, notes, "", "Written:", *map(str, files)]))


def version(program: Path) -> str:
    """What it says, and the start of its digest: a version has many builds."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.split()
    return f"{said[-1] if said else 'unknown'} (SHA-256 {digest(program)[:12]})"


def main() -> int:
    chosen = options()
    end_when_asked()
    comparison = Comparison(chosen)
    machine = describe(chosen.peers, sys.argv[1:], chosen.int8)
    print(report.described(machine))
    status = 0
    try:
        directory, photographs = chosen.output / "models", chosen.calibration if chosen.int8 else None
        networks = [prepare(chosen.program, name, directory, photographs) for name in chosen.networks]
        for threads in chosen.threads:
            print(f"\nThreads: {threads}\n{report.header(chosen.int8)}", flush=True)
            for network in networks:
                comparison.compare(network, threads)
    except KeyboardInterrupt:
        print("\ninterrupted: the network in work is lost, those before are kept", file=sys.stderr)
        status = 130
    except Failed as failure:
        print(f"stopped: {failure}", file=sys.stderr)
        status = 1
    machine["load after"] = load()
    print(f"{'load after':12} {machine['load after']}")
    if comparison.table:
        isas = {burst.isa for of in comparison.measured.values() for burst in of[OURS].bursts if burst.isa}
        machine[OURS] = f"{version(chosen.program)}; {', '.join(sorted(isas))}; from its plan"
        comparison.write(machine)
    return status


if __name__ == "__main__":
    sys.exit(main())
