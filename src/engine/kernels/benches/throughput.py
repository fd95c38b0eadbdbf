#!/usr/bin/env python3
"""What share of a core's multiply-adds the inner loops for 64-bit ARM reach, as llvm-mca (19 or newer) simulates them.

    CARGO_TARGET_DIR=DIR cargo rustc --release --lib --target aarch64-unknown-linux-gnu -- \
        --emit asm -C symbol-mangling-version=v0 -C codegen-units=1
    throughput.py DIR/aarch64-unknown-linux-gnu/release/deps/edge_classify_kernels-*.s

Of each tile of the pointwise kernel and each of the depthwise kernels it takes the loop, or the block between two labels,
with the most multiply-adds. In the tile's loop that is a step of 8 input channels, in the depthwise kernel a whole strip.
"""

import re
import subprocess
import sys

# The Pi 5's Cortex-A76 is a Neoverse N1 in this respect; the model of that name is the A57's.
CORES = ["cortex-a72", "neoverse-n1"]


def cycles(core, code):
    command = ["llvm-mca-19", "-mtriple=aarch64", f"-mcpu={core}", "-iterations=100"]
    said = subprocess.run(command, input=code, capture_output=True, text=True, check=True).stdout
    return int(re.search(r"Total Cycles: +(\d+)", said)[1]) / 100


def kernel(symbol):
    """Name of the kernel that a mangled symbol says: B refers back to a constant, here to the one before."""
    found = re.search(r"with_neon\w*?(Tiles|Strips)Kj(\w+?)_K(?:j(\w+?)|B\w+?)_", symbol)
    if not found or "with_neon" not in symbol:
        return None
    first = int(found[2], 16)
    return f"{found[1]} {first} {int(found[3], 16) if found[3] else first}"


def main():
    with open(sys.argv[1]) as file:
        text = re.sub(r"\n\t?//[^\n]*|\n\t\.[^\n]*", "", file.read())
    print(f"{'kernel':12} {'fmla':>5} {'instructions':>12} " + " ".join(f"{core:>12}" for core in CORES))
    for function in re.split(r"\n(?=_R\w+:\n)", text):
        name = kernel(function.split(":", 1)[0])
        if not name:
            continue
        blocks = [block for block in re.split(r"\n(?:\.L\w+|\d+):", function) if "fdiv" not in block]
        code = max(blocks, key=lambda block: block.count("\tfmla\t"))
        # Nothing after the first branch back, and no branches that are not taken.
        code = re.split(r"\n\tb\.ne\t", code)[0] if name.startswith("Tiles") else code
        lines = [line for line in code.split("\n") if re.match(r"\t(?!b\b|b\.|cb|tb)", line)]
        products = [line for line in lines if line.startswith("\tfmla\t")]
        # As many that wait for nothing.
        free = [f"\tfmla\tv{i % 24}.4s, v30.4s, v31.4s" for i in range(len(products))]
        shares = [cycles(core, "\n".join(free)) / cycles(core, "\n".join(lines)) for core in CORES]
        print(f"{name:12} {len(products):5} {len(lines):12} " + " ".join(f"{share:12.1%}" for share in shares))


main()
