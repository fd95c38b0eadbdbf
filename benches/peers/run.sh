#!/bin/bash
# Our program and other runtimes on the same networks and weights, in turns, on this machine; the runtimes come from PyPI
# into an environment of their own in target/. See --help.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

. benches/peers/environment.sh
PYTHONPATH=benches/peers exec "$python" -m compare "$@"
