#!/bin/bash
# What int8 costs in accuracy on two networks with squeeze-and-excitation and hard-swish, which packages on PyPI carry
# (Apache-2.0): a MobileNetV3 of two classes and a PP-LCNet of four, on thousands of pictures of text. See --help.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

. benches/peers/environment.sh
list=benches/accuracy/text.txt packages=target/accuracy/packages
if ! cmp -s "$list" "$packages/made-from"; then
    rm -rf "$packages"
    mkdir -p "$packages"
    "$environment/bin/pip" download -q --no-deps --require-hashes -r "$list" -d "$packages/wheels"
    for wheel in "$packages"/wheels/*.whl; do "$python" -m zipfile -e "$wheel" "$packages"; done
    rm -r "$packages/wheels"
    cp "$list" "$packages/made-from"
fi
PYTHONPATH=benches/accuracy exec "$python" -m text "$packages" "$@"
