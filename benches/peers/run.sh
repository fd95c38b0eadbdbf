#!/bin/bash
# Our program and other runtimes on the same networks and weights, in turns, on this machine; the runtimes come from PyPI
# into an environment of their own in target/. See --help.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

environment=target/peers/environment
made_from=(benches/peers/requirements.txt benches/peers/pnnx.txt)
if ! cat "${made_from[@]}" | cmp -s - "$environment/made-from"; then
    rm -rf "$environment"
    mkdir -p target/peers
    python3 -m venv "$environment"
    "$environment/bin/pip" install -q -r benches/peers/requirements.txt
    "$environment/bin/pip" install -q --no-deps -r benches/peers/pnnx.txt
    cat "${made_from[@]}" > "$environment/made-from"
fi
PYTHONPATH=benches/peers exec "$environment/bin/python" -m compare "$@"
