#!/bin/bash
# The zoo's exports under onnx.checker and ONNX Runtime, in a Python environment of their own in target/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

environment=target/onnxruntime
if ! cmp -s tests/onnxruntime/requirements.txt "$environment/made-from"; then
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$environment/bin/pip" install -q -r tests/onnxruntime/requirements.txt
    cp tests/onnxruntime/requirements.txt "$environment/made-from"
fi
exec "$environment/bin/python" tests/onnxruntime/check.py target/release/edge-classify
