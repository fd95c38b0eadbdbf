#!/usr/bin/env python3
"""Check the zoo's exports with the tools of others: onnx.checker, and ONNX Runtime's logits against the recording.

    check.py PROGRAM       the edge-classify program

Networks of more than 100 million parameters are left out: half a gigabyte and more for each file.
"""

import csv
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "tests/reference"
TOLERANCE = 1e-5
MOST_PARAMETERS = 100_000_000

# One network of each kind of block, activation and padding in every operator set, and folded.
VARIED = ["mobilenetv1_100", "mobilenetv3_small_100", "mobilenetv4_conv_small", "tf_efficientnet_es", "mixnet_s"]
OPSETS = range(13, 22)


def synthetic_input(size):
    """The input that the logits were recorded with (src/zoo/weights/synthetic.rs)."""
    golden, base = 0x9E3779B97F4A7C15, 0xCBF29CE484222325
    for byte in b"input":
        base = ((base ^ byte) * 0x100000001B3) % 2**64
    base ^= golden
    z = np.uint64(base) + np.arange(1, 3 * size * size + 1, dtype=np.uint64) * np.uint64(golden)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    u = (z >> np.uint64(11)).astype(np.float64) / 2**53
    return (4 * u - 2).astype(np.float32).reshape(1, 3, size, size)


def check(program, directory, row, logits, *options):
    file = Path(directory) / "model.onnx"
    command = [program, "export", row["name"], "--weights", "synthetic:1", "--input-size", row["size"], "-o", file]
    subprocess.run([*command, *options], check=True, stderr=subprocess.DEVNULL)
    onnx.checker.check_model(str(file), full_check=True)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 2
    settings.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(file), settings, ["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: synthetic_input(int(row["size"]))})[0][0]
    properties = session.get_modelmeta().custom_metadata_map
    assert properties["name"] == row["name"] and properties["preprocess.mean"], properties
    difference = float(np.abs(found - logits).max() / np.ptp(logits))
    ok = difference < TOLERANCE
    print(f"{'ok' if ok else 'FAILED'} {row['name']} {' '.join(options)} {difference:.1e}", flush=True)
    return ok


def main():
    program = Path(sys.argv[1]).resolve()
    np.seterr(over="ignore")
    with (REFERENCE / "zoo.csv").open() as file:
        rows = list(csv.DictReader(file))
    logits = dict(zip((row["name"] for row in rows), np.load(REFERENCE / "zoo.npy"), strict=True))
    results = []
    with tempfile.TemporaryDirectory() as directory:
        for row in rows:
            name = row["name"]
            if int(row["parameters"]) > MOST_PARAMETERS:
                continue
            results.append(check(program, directory, row, logits[name]))
            if name in VARIED:
                results.append(check(program, directory, row, logits[name], "--fold-bn"))
                for opset in OPSETS:
                    results.append(check(program, directory, row, logits[name], "--opset", str(opset)))
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    sys.exit(not (results and all(results)))


if __name__ == "__main__":
    main()
