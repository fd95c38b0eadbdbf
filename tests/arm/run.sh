#!/bin/bash
# A build for ARM under QEMU's user mode: starts on an old glibc, classifies the bundled photographs as the native build
# does, and computes what the zoo's references do. The native build compiles the plans.
#
#   run.sh aarch64|armv7 TOOLCHAIN device|host    (as boards/arm-toolchain.sh takes them; the features it was built with)
#
# MOST_MULTIPLY_ADDS: runs the networks that take so many at most, rather than what QEMU does in minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

toolchain=$2 features=$3
case $1 in
aarch64) target=aarch64-unknown-linux-gnu gnu=aarch64-linux-gnu qemu=qemu-aarch64 core=cortex-a72 ;;
armv7) target=armv7-unknown-linux-gnueabihf gnu=arm-linux-gnueabihf qemu=qemu-arm core=cortex-a7 ;;
esac
program=target/$target/release/edge-classify
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

check() { # NAME COMMAND...
    local name=$1
    shift
    if "$@"; then
        echo "ok $name"
        passed=$((passed + 1))
    else
        echo "FAILED $name"
        failed=$((failed + 1))
    fi
}

# Raspberry Pi OS bullseye and JetPack 5 have glibc 2.31.
glibc_is_old_enough() {
    local newest
    newest=$("$gnu-objdump" -T "$program" | grep -oE 'GLIBC_[0-9.]+' | sort -Vu | tail -n 1)
    echo "newest symbol version needed: $newest"
    [ -n "$newest" ] && [ "$(printf '%s\nGLIBC_2.31\n' "$newest" | sort -V | tail -n 1)" = GLIBC_2.31 ]
}

# Nothing but the C library and its kin may have to be installed on a board.
libraries_are_basic() {
    local others
    others=$("$gnu-objdump" -p "$program" | awk '$1 == "NEEDED" { print $2 }' |
        grep -vE '^(libc|libm|libgcc_s|libdl|libpthread|librt|ld-linux-aarch64|ld-linux-armhf)\.so' || true)
    [ -z "$others" ] || { echo "needs $others"; return 1; }
}

# A model that has to be compiled is refused with the way to do that.
only_plans_are_run() { # CORE
    local error
    ! error=$(emulated "$1" --model "$lite0" --source "${photos[0]}" 2>&1) &&
        [[ $error == *"not a plan"*"edge-classify compile"* ]] || { echo "$error"; return 1; }
}

classify() { # ARG... : the best class of each photograph
    "$@" --output jsonl --top-k 1 |
        sed 's/.*"source":"\([^"]*\)".*"index":\([0-9]*\).*/\1 \2/'
}

emulated() { # CORE ARG...
    local core=$1
    shift
    "$qemu" -cpu "$core" -L "$toolchain/$core" "$program" "$@"
}

emulated_part() { # CORE PRECISION FILE...
    local core=$1 precision=$2
    shift 2
    classify emulated "$core" --model "$work/lite0.plan" --precision "$precision" --source "$@"
}

# The whole program needs no plan.
onnx_is_run() { # CORE
    local found expected
    found=$(classify emulated "$1" --model "$lite0" --source "${photos[0]}") &&
        expected=$(classify target/release/edge-classify --model "$lite0" --source "${photos[0]}") &&
        [ -n "$found" ] && [ "$found" = "$expected" ]
}

# same_classes CORE PRECISION MOST FILE...: in two processes, as one emulates a single core; at most so many classes may
# be others.
same_classes() {
    local core=$1 precision=$2 most=$3 half=$((($# - 1) / 2)) first
    shift 3
    classify target/release/edge-classify --model "$lite0" --source "$@" >"$work/native"
    emulated_part "$core" "$precision" "${@:1:half}" >"$work/first" 2>"$work/first.log" &
    first=$!
    emulated_part "$core" "$precision" "${@:half+1}" >"$work/second" 2>"$work/second.log" &
    wait "$first" && wait $! || { cat "$work/first.log" "$work/second.log"; return 1; }
    cat "$work/first" "$work/second" >"$work/both"
    [ "$(wc -l <"$work/native")" = $# ] && [ "$(wc -l <"$work/both")" = $# ] &&
        [ "$(diff "$work/native" "$work/both" | tee "$work/other" | grep -c '^>')" -le "$most" ] ||
        { cat "$work/other"; return 1; }
}

# networks CORE MOST [PRECISION]: those of the zoo with at most so many multiply-adds; the same kernels run the larger
# ones.
networks() {
    tests/arm/networks.py target/release/edge-classify --core "$1" --most "$2" --precision "${3:-f32}" -- \
        "$qemu" -cpu "$1" -L "$toolchain/$1" "$program"
}

# Otherwise that core would run what cortex-a76 does.
max_multiplies_matrices() {
    local found
    found=$(emulated max doctor 2>&1 || true)
    [[ $found =~ features:[^\;]*i8mm ]] || { echo "$found"; return 1; }
}

# A network in int8 gives the bits that it gives on this machine, on each kind of core.
same_bits() { # PLAN CORE...
    local plan=$1 core
    shift
    target/release/edge-classify infer "$plan" --tensor tests/reference/input.npy --output "$work/native.npy" || return 1
    for core; do
        emulated "$core" infer "$plan" --tensor tests/reference/input.npy --output "$work/$core.npy" &&
            cmp "$work/native.npy" "$work/$core.npy" || return 1
    done
}

# As same_bits, of what this machine compiles.
same_bits_of() { # NETWORK CORE...
    local network=$1 plan="$work/$1.int8.plan"
    shift
    target/release/edge-classify export "$network" --weights synthetic -o "$work/$network.onnx" 2>/dev/null &&
        target/release/edge-classify compile "$work/$network.onnx" --int8 --calibration "$work/calibration" -o "$plan" &&
        same_bits "$plan" "$@"
}

lite0=tests/models/tf_efficientnet_lite0.onnx
photos=(tests/photos/labelled/*.jpg)
calibration=(tests/photos/calibration/*.jpg)
mkdir "$work/calibration"
cp "${calibration[@]:0:16}" "$work/calibration"
target/release/edge-classify compile "$lite0" -o "$work/lite0.plan"
check glibc-2.31 glibc_is_old_enough
check libraries libraries_are_basic
case $features in
device) check only-plans only_plans_are_run $core ;;
host) check onnx onnx_is_run $core ;;
esac
case $1 in
aarch64)
    check photographs-cortex-a72 same_classes cortex-a72 f32 0 "${photos[@]}"
    # With dotprod and fp16, which may choose other kernels; a few show it.
    check photographs-cortex-a76 same_classes cortex-a76 f32 0 "${photos[@]:0:12}"
    check photographs-cortex-a76-fp16 same_classes cortex-a76 fp16 1 "${photos[@]:0:6}"
    check networks-cortex-a72 networks cortex-a72 "${MOST_MULTIPLY_ADDS:-1000000000}"
    check networks-cortex-a76 networks cortex-a76 "${MOST_MULTIPLY_ADDS:-300000000}"
    check networks-cortex-a76-fp16 networks cortex-a76 60000000 fp16
    check matrices-of-bytes max_multiplies_matrices
    check int8-bundled same_bits models/tf_efficientnet_lite0.plan cortex-a72 cortex-a76 max
    check int8-hard-swish same_bits_of mobilenetv3_small_100 cortex-a72 cortex-a76 max
    check int8-swish same_bits_of mixnet_s cortex-a72 cortex-a76 max
    ;;
armv7)
    # Pictures are slow to classify without vectors; networks tell more.
    check photographs-cortex-a7 same_classes cortex-a7 f32 0 "${photos[@]:0:12}"
    check networks-cortex-a7 networks cortex-a7 "${MOST_MULTIPLY_ADDS:-1000000000}"
    check int8-bundled same_bits models/tf_efficientnet_lite0.plan cortex-a7
    check int8-hard-swish same_bits_of mobilenetv3_small_100 cortex-a7
    ;;
esac
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
