"""Processes that run a network when told: a kept one for each Python engine, a new one for each burst of our programs."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from .figures import Burst
from .networks import Network
from .process import Failed, call

# The slowest network loads in a few seconds on a loaded machine.
TIMEOUT_S = 300


def environment(threads: int) -> dict[str, str]:
    """Where a runtime takes its number of threads from the environment, it is the same for all. Python may keep what it
    compiled: a peer's start is not to be that of its sources."""
    count = str(threads)
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {f"{library}_NUM_THREADS": count for library in ("OMP", "OPENBLAS", "MKL", "RAYON")}


@dataclass
class Job:
    """What a contestant is to run, and where it may write."""

    network: Network
    file: Path
    threads: int
    scratch: Path

    @property
    def logits(self) -> Path:
        return self.scratch / f"{self.network.name}.logits.npy"


class Program:
    """A program of this repository: it prints a record of each burst. `options` are those of its bench."""

    python = False

    def __init__(self, name: str, job: Job, bench: list, infer: list, options: Sequence[str] = ()):
        self.name, self.job = name, job
        threads = ["--threads", job.threads]
        self.bench = [str(part) for part in (*bench, job.file, *threads, *options)]
        self.infer = [str(part) for part in (*infer, job.file, *threads, "--output", job.logits, "--tensor")]

    def run(self, command: list[str]) -> str:
        done = subprocess.run(
            command, env=environment(self.job.threads), capture_output=True, text=True, timeout=TIMEOUT_S
        )
        if done.returncode:
            raise Failed(f"{' '.join(command)} failed: {done.stderr.strip()[-500:] or done.returncode}")
        return done.stdout

    def start_ms(self) -> float:
        """From the start of a process to its end: its first result, and the file with it."""
        before = time.perf_counter()
        self.run([*self.infer, str(self.job.network.input)])
        return (time.perf_counter() - before) * 1e3

    def logits(self, tensor: Path) -> np.ndarray:
        self.run([*self.infer, str(tensor)])
        return np.load(self.job.logits)

    def first_logits(self) -> np.ndarray:
        return self.logits(self.job.network.input)

    def all_logits(self, pictures: Path) -> np.ndarray:
        """A row for each picture of a file of many."""
        one = self.job.scratch / "picture.npy"
        rows = []
        for picture in np.load(pictures):
            np.save(one, picture[None])
            rows.append(self.logits(one).reshape(-1))
        return np.stack(rows)

    def burst(self, seconds: float) -> Burst:
        said = self.run([*self.bench, "--seconds", str(seconds)])
        try:
            record = json.loads(said)
            wanted = ("median_ms", "min_ms", "runs", "peak_rss_bytes")
            optional = ("peak_gflops", "multiply_adds", "isa")
            return Burst(*(record[key] for key in wanted), **{key: record.get(key) for key in optional})
        except (ValueError, KeyError) as error:
            raise Failed(f"{' '.join(self.bench)} printed no record with all that is wanted ({error!r})") from None

    def close(self):
        pass


class Worker:
    """A Python process with one engine. As a context it is closed whatever happens."""

    def __init__(self, engine: str, job: Job):
        self.engine, self.log = engine, job.scratch / f"{engine}.log"
        arguments = [engine, job.file, str(job.threads), job.network.input, job.logits]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "compare.worker", *arguments],
                env=environment(job.threads),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            status = self.process.wait()
            raise Failed(f"its process ended with status {status}; what it said is in {self.log}")
        said = json.loads(line)
        if "error" in said:
            raise Failed(said["error"])
        return said

    def ask(self, line: str) -> dict:
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: reading says how
        return self.answer()

    def close(self):
        """It ends with its input; if it does not, it is killed."""
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        finally:
            self.process.stdout.close()


class Engine:
    """A peer's engine in a worker that is kept for all bursts."""

    python = True

    def __init__(self, name: str, job: Job):
        self.name, self.job = name, job
        self.worker: Worker | None = None

    def start_ms(self) -> float:
        before = time.perf_counter()
        with Worker(self.name, self.job) as worker:
            worker.answer()
            return (time.perf_counter() - before) * 1e3

    def first_logits(self) -> np.ndarray:
        with Worker(self.name, self.job) as worker:
            worker.answer()
        return np.load(self.job.logits)

    def all_logits(self, pictures: Path) -> np.ndarray:
        """A row for each picture of a file of many."""
        call([sys.executable, "-m", "compare.logits", self.name, self.job.file, pictures, self.job.logits])
        return np.load(self.job.logits)

    def burst(self, seconds: float) -> Burst:
        if self.worker is None:
            self.worker = Worker(self.name, self.job)
            self.worker.answer()
        said = self.worker.ask(str(seconds))
        times = said["times"]
        return Burst(median(times), min(times), len(times), said["peak_rss_bytes"])

    def close(self):
        if self.worker is not None:
            self.worker.close()
            self.worker = None


def bare_start(job: Job) -> tuple[float, int]:
    """Time and memory of a Python process with numpy and the input, without an engine."""
    before = time.perf_counter()
    with Worker("none", job) as worker:
        rss = worker.answer()["peak_rss_bytes"]
        return (time.perf_counter() - before) * 1e3, rss


def end_when_asked():
    """SIGTERM ends as Ctrl-C does, through every `finally`; also where a shell's background job ignores the latter."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
