#!/bin/bash
# How many instructions an inference takes on 64-bit ARM, counted under QEMU's user mode (`make build aarch64` comes
# first): the same number on any machine, whatever else it does. Single-threaded, one picture, the third inference; in f32
# and, on Cortex-A76, in fp16. A plan of int8, which is given as a file, is counted in that alone, and also on a core that
# multiplies matrices of bytes (i8mm).
#
#   run.sh [--functions] [--ncnn DIR] [NETWORK|FILE.plan...]
#
# --functions also prints what each function takes. --ncnn counts ncnn, too: DIR gets an arm64 Python with it from
# Debian and PyPI, and the networks converted by pnnx.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."

toolchain=$PWD/target/aarch64-toolchain
functions=
ncnn=
while [ $# -gt 0 ]; do
    case $1 in
    --functions) functions=,functions=on ;;
    --ncnn)
        ncnn=$(mkdir -p "$2" && cd "$2" && pwd)
        shift
        ;;
    *) break ;;
    esac
    shift
done
networks=("$@")
[ $# -gt 0 ] || networks=(mobilenetv3_100 mobilenetv2_100 efficientnet_b0 efficientnet_lite0 mixnet_m mnasnet_a1 fbnetc_100
    spnasnet_100 tf_efficientnet_b0 mobilenetv1_100)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
gcc -O2 -shared -fPIC -o "$work/count.so" "$here/count.c"
(
    . "$toolchain/env.sh"
    cargo build --release --locked --target aarch64-unknown-linux-gnu --no-default-features --features device \
        --bench instructions --message-format json >"$work/build"
)
program=$(grep -o '"executable":"[^"]*/instructions-[^"]*"' "$work/build" | cut -d'"' -f4)

emulated() { # CORE ROOT ARG...
    local core=$1 root=$2
    shift 2
    qemu-aarch64 -cpu "$core" -L "$root" -plugin "$work/count.so$functions" -d plugin "$@"
}

# millions FILE: instructions of the last inference in a log.
millions() {
    grep '^instructions' "$1" | tail -n 1 | awk '{ printf "%.2f", $2 / 1e6 }'
}

if [ -n "$ncnn" ] && [ ! -e "$ncnn/complete" ]; then
    python3 -m venv "$ncnn/native"
    "$ncnn/native/bin/pip" install -q numpy pnnx
    state=$ncnn/apt
    mkdir -p "$state"/lists/partial "$state"/cache/archives/partial "$ncnn"/{packages,root,site}
    : >"$state/status"
    archive=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources 2>/dev/null |
        grep -oE 'https?://[^ ]+/debian/?( |$)' | head -n 1 | sed 's,/* *$,,' || true)
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${archive:-http://deb.debian.org/debian} bookworm main" \
        >"$state/sources.list"
    cat >"$state/apt.conf" <<EOF
Dir::State "$state"; Dir::State::lists "$state/lists"; Dir::State::status "$state/status";
Dir::Cache "$state/cache"; Dir::Etc::sourcelist "$state/sources.list"; Dir::Etc::sourceparts "-";
APT::Architecture "amd64"; APT::Architectures { "amd64"; "arm64"; }; APT::Sandbox::User "root";
Acquire::Languages "none";
EOF
    (
        export APT_CONFIG=$state/apt.conf
        apt-get update -q >/dev/null
        cd "$ncnn/packages"
        apt-get download -q libc6:arm64 libstdc++6:arm64 libgomp1:arm64 libgcc-s1:arm64 python3.11-minimal:arm64 \
            libpython3.11-minimal:arm64 libpython3.11-stdlib:arm64 libexpat1:arm64 zlib1g:arm64 libffi8:arm64 \
            libbz2-1.0:arm64 liblzma5:arm64 libssl3:arm64 libcrypt1:arm64 libuuid1:arm64 >/dev/null
        "$ncnn/native/bin/pip" download -q --no-deps --only-binary=:all: --platform manylinux_2_28_aarch64 \
            --platform manylinux2014_aarch64 --python-version 3.11 ncnn numpy
    )
    for package in "$ncnn"/packages/*.deb; do dpkg-deb -x "$package" "$ncnn/root"; done
    for package in "$ncnn"/packages/*.whl; do python3 -m zipfile -e "$package" "$ncnn/site"; done
    touch "$ncnn/complete"
fi

count_ncnn() { # NETWORK f32|f16
    if [ ! -e "$ncnn/$1.ncnn.param" ]; then
        cp "$work/$1.onnx" "$ncnn"
        (cd "$ncnn" && native/bin/pnnx "$1.onnx" "inputshape=[1,3,224,224]" fp16=0 >"$1.log" 2>&1)
    fi
    emulated cortex-a76 "$ncnn/root" -E PYTHONPATH="$ncnn/site" -U PYTHONHOME "$ncnn/root/usr/bin/python3.11" \
        "$here/count_ncnn.py" "$ncnn/$1.ncnn" "$2" 2>"$work/ncnn" || { cat "$work/ncnn" >&2; return 1; }
    millions "$work/ncnn"
}

printf '%-20s %13s %10s %10s %15s %8s %8s' 'M instructions' 'multiply-adds' cortex-a72 cortex-a76 'a multiply-add' fp16 i8mm
[ -z "$ncnn" ] || printf ' %8s %8s' ncnn 'ncnn f16'
echo
for network in "${networks[@]}"; do
    case $network in
    *.plan) # of int8
        plan=$network
        network=$(basename "$network" .plan)
        first=int8
        second=
        cores=(cortex-a72 cortex-a76 max)
        ;;
    *)
        plan=$work/$network.plan
        first=f32
        second=fp16
        cores=(cortex-a72 cortex-a76)
        {
            target/release/edge-classify export "$network" --weights synthetic:1 -o "$work/$network.onnx" &&
                target/release/edge-classify compile "$work/$network.onnx" -o "$plan"
        } 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
        ;;
    esac
    for core in "${cores[@]}"; do
        emulated "$core" "$toolchain/$core" "$program" "$plan" "$first" >"$work/sum" 2>"$work/$core" ||
            { cat "$work/$core"; exit 1; }
    done
    half=-
    matrices=-
    if [ -z "$second" ]; then
        matrices=$(millions "$work/max")
    else
        emulated cortex-a76 "$toolchain/cortex-a76" "$program" "$plan" "$second" >"$work/sum" 2>"$work/fp16" ||
            { cat "$work/fp16"; exit 1; }
        half=$(millions "$work/fp16")
    fi
    printf '%-20s' "$network"
    awk -v a="$(millions "$work/cortex-a72")" -v b="$(millions "$work/cortex-a76")" -v c="$half" \
        -v d="$matrices" '{ printf " %13.1f %10s %10s %15.3f %8s %8s", $1 / 1e6, a, b, a * 1e6 / $1, c, d }' "$work/sum"
    if [ -n "$ncnn" ] && [ -n "$second" ]; then
        full=$(count_ncnn "$network" f32)
        half=$(count_ncnn "$network" f16)
        printf ' %8s %8s' "$full" "$half"
    fi
    echo
    for core in ${functions:+"${cores[@]}"}; do
        echo "$core"
        grep '^function 4' "$work/$core" | sort -k 3nr | head -n 30
    done
done
