#!/usr/bin/env python3
"""Every network of the zoo, compiled here and run by the program for ARM under QEMU, against the recorded logits.

    networks.py PROGRAM --core CORE [--most MULTIPLY-ADDS] [--precision f32|fp16] -- COMMAND...

The command runs the other program. In fp16, the plans are of fp16, too.

Needs nothing but Python: arrays are read and written as they lie in .npy files.
"""

import argparse
import array
import concurrent.futures
import csv
import pathlib
import struct
import subprocess
import sys
import tempfile

REFERENCE = pathlib.Path("tests/reference")
# In parts of the logits' range: in f32 as in tests/zoo.rs; in fp16, a unit in the last place is 1e-3, and each layer rounds.
TOLERANCE = {"f32": 1e-5, "fp16": 5e-3}
# Larger ones take gigabytes.
MOST_PARAMETERS = 100_000_000
CLASSES = 1000
MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def synthetic_input(size):
    """The input that the logits were recorded with (src/zoo/weights/synthetic.rs)."""
    base = 0xCBF29CE484222325
    for byte in b"input":
        base = (base ^ byte) * 0x100000001B3 & MASK
    base ^= GOLDEN
    values = array.array("f")
    for index in range(3 * size * size):
        z = (base + (index + 1) * GOLDEN) & MASK
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
        z ^= z >> 31
        values.append(4 * ((z >> 11) / 2**53) - 2)
    return values


def write_npy(path, values, shape):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    header = header.ljust((10 + len(header) + 64) // 64 * 64 - 11) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + values.tobytes())


def read_npy(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<H", data[8:10])
    values = array.array("f")
    values.frombytes(data[10 + length :])
    return values


def run(command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}:\n{result.stderr}")


def difference(program, emulated, row, expected, directory, precision):
    """Of the emulated program's logits, in parts of the recorded ones' range."""
    name, size = row["name"], row["size"]
    onnx, plan, output = (directory / f"{name}.{end}" for end in ("onnx", "plan", "npy"))
    run([program, "export", name, "--weights", "synthetic:1", "--input-size", size, "-o", onnx])
    run([program, "compile", onnx, "-o", plan, "--precision", precision])
    onnx.unlink()
    tensor = directory / f"input-{size}.npy"
    run([*emulated, "infer", plan, "--tensor", tensor, "--output", output, "--precision", precision])
    plan.unlink()
    found = read_npy(output)
    if len(found) != len(expected):
        return float("inf")
    # What is not a number must not be lost among the others.
    apart = [abs(a - b) for a, b in zip(found, expected)]
    if any(value != value for value in apart):
        return float("inf")
    return max(apart) / (max(expected) - min(expected))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("emulated", nargs="+")
    parser.add_argument("--core", required=True)
    parser.add_argument("--most", type=int, default=sys.maxsize, help="multiply-adds")
    parser.add_argument("--precision", choices=TOLERANCE, default="f32")
    args = parser.parse_args()
    with open(REFERENCE / "zoo.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    logits = read_npy(REFERENCE / "zoo.npy")
    recorded = {row["name"]: logits[CLASSES * i : CLASSES * (i + 1)] for i, row in enumerate(rows)}
    rows = [row for row in rows if int(row["parameters"]) <= MOST_PARAMETERS and int(row["multiply_adds"]) <= args.most]
    # The longest first, so that none is left to run alone.
    rows.sort(key=lambda row: -int(row["multiply_adds"]))
    failed = []
    with tempfile.TemporaryDirectory() as directory, concurrent.futures.ThreadPoolExecutor(2) as pool:
        directory = pathlib.Path(directory)
        for size in {row["size"] for row in rows}:
            write_npy(directory / f"input-{size}.npy", synthetic_input(int(size)), (1, 3, int(size), int(size)))
        check = lambda row: difference(args.program, args.emulated, row, recorded[row["name"]], directory, args.precision)
        worst = 0
        for row, apart in zip(rows, pool.map(check, rows)):
            worst = max(worst, apart)
            if not apart <= TOLERANCE[args.precision]:
                failed.append(f"{row['name']}: {apart:.1e} of the range")
    print(f"{len(rows)} networks on {args.core} in {args.precision}: at most {worst:.1e} of the range from the recorded logits")
    for line in failed:
        print(f"FAILED {line}")
    sys.exit(1 if failed or not rows else 0)


if __name__ == "__main__":
    main()
