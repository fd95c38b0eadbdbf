#!/usr/bin/env python3
"""Whether what an inference takes grows with its multiply-adds: the EfficientNet series (Tan and Le 2019,
arXiv:1905.11946), each network several times the one before, in turns on this machine.

    make && benches/series.py [--networks efficientnet_b0 ...] [--rounds 5] [--seconds 1] [--threads 1]
"""

import argparse
import json
import statistics
import subprocess
from pathlib import Path

PROGRAM = "target/release/edge-classify"
MODELS = Path("target/series")
SERIES = [f"efficientnet_b{size}" for size in range(6)]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=SERIES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1, help="of each network in each round")
    parser.add_argument("--threads", default="1")
    return parser.parse_args()


def plan(network):
    """The network with synthetic weights, compiled; made once."""
    path = MODELS / f"{network}.plan"
    if not path.exists():
        MODELS.mkdir(parents=True, exist_ok=True)
        onnx = MODELS / f"{network}.onnx"
        subprocess.run([PROGRAM, "export", network, "--weights", "synthetic", "-o", onnx], check=True)
        subprocess.run([PROGRAM, "compile", onnx, "-o", path], check=True)
    return path


def bench(path, args):
    command = [PROGRAM, "bench", path, "--json", "--threads", args.threads, "--seconds", str(args.seconds)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def main():
    args = arguments()
    plans = {network: plan(network) for network in args.networks}
    rounds = {network: [] for network in plans}
    for _ in range(args.rounds):
        for network, path in plans.items():
            rounds[network].append(bench(path, args))
    machine = next(iter(rounds.values()))[0]
    print(f"{machine['processor']['models'][0]}, {machine['isa']}, {args.threads} thread(s), {args.rounds} rounds")
    print(f"{'':20}{'multiply-adds':>14}{'median':>12}{'minimum':>12}{'median, ps a multiply-add':>27}{'to the least':>14}")
    each = {}
    for network, results in rounds.items():
        median = statistics.median(result["median_ms"] for result in results)
        least = min(result["min_ms"] for result in results)
        each[network] = (results[0]["multiply_adds"], median, least)
    cost = {network: median * 1e9 / count for network, (count, median, _) in each.items()}
    for network, (count, median, least) in each.items():
        ratio = cost[network] / min(cost.values())
        print(f"{network:20}{count / 1e6:>12.0f} M{median:>9.2f} ms{least:>9.2f} ms{cost[network]:>27.1f}{ratio:>14.2f}")


if __name__ == "__main__":
    main()
