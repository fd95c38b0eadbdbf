#!/bin/bash
# Installs what building on Debian needs beside Rust, if it is missing: a C compiler, libclang for v4l's bindings.
set -euo pipefail

missing=()
command -v cc >/dev/null || missing+=(gcc libc6-dev)
ls /usr/lib/*/libclang*.so* /usr/lib/llvm-*/lib/libclang*.so* >/dev/null 2>&1 || missing+=(libclang1)
[ ${#missing[@]} -gt 0 ] || exit 0

echo "installing ${missing[*]}"
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get update -q
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -q --no-install-recommends "${missing[@]}"
