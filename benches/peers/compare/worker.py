"""A process that holds one engine with one network and runs it only when told.

    python -m compare.worker ENGINE FILE THREADS INPUT.npy OUTPUT.npy

It says when it has its first result (in OUTPUT.npy), then answers each line on stdin, a number of seconds, with the
times of a burst of runs as JSON. It ends with its input. The engine `none` has only Python, numpy and the input: what
every one of these processes takes besides the engine.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from .engines import LOADERS

WARM_UP_RUNS = 3
# Of a burst's time; our own bench does the same.
WARM_UP_PART = 0.1


def peak_rss() -> int:
    """The most memory that this process had so far, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/self/status has no VmHWM: Linux is needed")


def burst(run, seconds: float) -> list[float]:
    """Milliseconds of each run, for at least so long, after a warm-up."""
    start, runs = time.perf_counter(), 0
    while runs < WARM_UP_RUNS or time.perf_counter() - start < WARM_UP_PART * seconds:
        run()
        runs += 1
    times, start = [], time.perf_counter()
    while not times or time.perf_counter() - start < seconds:
        before = time.perf_counter()
        run()
        times.append((time.perf_counter() - before) * 1e3)
    return times


def main():
    # Engines print to stdout: that goes to stderr, the answers to what stdout was.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(**what):
        print(json.dumps(what), file=answers, flush=True)

    engine, file, threads, source, target = sys.argv[1:]
    picture = np.load(source)
    if engine == "none":
        answer(peak_rss_bytes=peak_rss())
        return
    try:
        run = LOADERS[engine](Path(file), int(threads))(picture)
        logits = np.asarray(run(), np.float32).reshape(1, -1)
    except Exception as error:  # an engine may raise anything; the parent says which one it was
        answer(error=f"{type(error).__name__}: {error}")
        return
    answer(peak_rss_bytes=peak_rss())
    np.save(target, logits)
    for line in sys.stdin:
        times = burst(run, float(line))
        answer(times=times, peak_rss_bytes=peak_rss())


if __name__ == "__main__":
    try:
        main()
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(130)
