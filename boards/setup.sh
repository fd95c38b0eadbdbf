#!/bin/bash
# Installs what building and testing on Debian needs beside Rust, if it is missing: a C compiler, libclang for v4l's
# bindings, cmake and nasm for libjpeg-turbo; with the argument `test` also what the tests call.
set -euo pipefail

missing=()
command -v cc >/dev/null || missing+=(gcc libc6-dev)
# Not libclang-cpp, another library.
compgen -G '/usr/lib/*/libclang[-.][0-9s]*' >/dev/null || compgen -G '/usr/lib/llvm-*/lib/libclang[-.][0-9s]*' >/dev/null ||
    missing+=(libclang1)
command -v cmake >/dev/null || missing+=(cmake)
# Only the code for x86 is assembled.
[ "$(uname -m)" != x86_64 ] || command -v nasm >/dev/null || missing+=(nasm)
if [ "${1:-}" = test ]; then
    command -v xz >/dev/null || missing+=(xz-utils)
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
fi
[ ${#missing[@]} -gt 0 ] || exit 0

echo "installing ${missing[*]}"
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get update -q
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -q --no-install-recommends "${missing[@]}"
