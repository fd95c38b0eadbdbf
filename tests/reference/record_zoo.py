#!/usr/bin/env python3
"""Record what reference implementations of the zoo's networks compute with synthetic weights.

    pip install -r requirements.txt
    python record_zoo.py         # rewrites zoo.csv and zoo.npy beside this script

Weights and input are a function of tensor names and a seed (src/zoo/weights/synthetic.rs has the definition), so the
logits check structure, padding, names and arithmetic of an implementation without any trained weights. zoo.csv holds
for each network the implementation it was recorded from, the input size of the logits, parameters, and multiply-adds
of convolutions and linear layers at the network's own input size; zoo.npy the logits, a row for each of its lines.
"""

import csv
import warnings
from pathlib import Path

import geffnet
import numpy as np
import timm
import torch
from geffnet import efficientnet_builder, gen_efficientnet, mobilenetv3
from geffnet.efficientnet_builder import decode_arch_def

HERE = Path(__file__).resolve().parent
SEED = 1
GOLDEN = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1

# Above this many multiply-adds the logits are recorded at a small, odd input size.
HEAVY, HEAVY_SIZE = 11e9, 131

CHAMNET = {
    "chamnetv1_100": [
        ["ir_r1_k3_s1_e1_c24"],
        ["ir_r2_k7_s2_e4_c48"],
        ["ir_r5_k3_s2_e7_c64"],
        ["ir_r7_k5_s2_e12_c56"],
        ["ir_r5_k3_s1_e8_c88"],
        ["ir_r4_k3_s2_e7_c152"],
        ["ir_r1_k3_s1_e10_c104"],
    ],
    "chamnetv2_100": [
        ["ir_r1_k3_s1_e1_c24"],
        ["ir_r4_k5_s2_e8_c32"],
        ["ir_r6_k7_s2_e5_c48"],
        ["ir_r3_k5_s2_e9_c56"],
        ["ir_r6_k3_s1_e6_c56"],
        ["ir_r6_k3_s2_e2_c152"],
        ["ir_r1_k3_s1_e6_c112"],
    ],
}

# Our name for a network that geffnet calls otherwise.
RENAMED = {"mobilenetv3_rw": "mobilenetv3_100"}
# Same networks under another name, or with other weights only.
TWINS = ("mnasnet_b1", "mnasnet_a1", "_ap", "_ns", "_ns_475")
NO_TWIN = "tf_efficientnet_l2_ns"

SIZES = {
    "b1": 240, "b2": 260, "b3": 300, "b4": 380, "b5": 456, "b6": 528, "b7": 600, "b8": 672, "l2": 800,
    "em": 240, "el": 300, "lite1": 240, "lite2": 260, "lite3": 300, "lite4": 380,
}  # fmt: skip


def synthetic(name, shape):
    base = 0xCBF29CE484222325
    for byte in name.encode():
        base = ((base ^ byte) * 0x100000001B3) & MASK
    base ^= SEED * GOLDEN & MASK
    with np.errstate(over="ignore"):
        z = np.uint64(base) + np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64) * np.uint64(GOLDEN)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    u = (z >> np.uint64(11)).astype(np.float64) / 2**53
    if name == "input":
        values = 4 * u - 2
    elif name.endswith("running_var"):
        values = 0.5 + u
    elif name.endswith(("running_mean", "bias")):
        values = 0.4 * u - 0.2
    elif len(shape) > 1:
        gain = 0.3 if ".conv_pwl." in name else 1.0
        values = (2 * u - 1) * np.sqrt(6 / np.prod(shape[1:])) * gain
    else:
        values = 0.5 + u
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def mobilenetv3_seed(width):
    """MobileNetV3 as its first PyTorch implementation had it: expanded channels are cut to whole numbers, where geffnet
    rounds them to eights. At full width that is the same."""
    rounded = efficientnet_builder.make_divisible
    # Blocks call it without a divisor for their expanded channels, and only for those.
    efficientnet_builder.make_divisible = lambda v, *rest: rounded(v, *rest) if rest else int(v)
    try:
        return mobilenetv3._gen_mobilenet_v3_rw("mobilenetv3_rw", width)
    finally:
        efficientnet_builder.make_divisible = rounded


def networks():
    """Name, origin and maker of each network."""
    for name in gen_efficientnet.__all__ + mobilenetv3.__all__:
        if name == "GenEfficientNet" or "_cc_" in name or name.endswith(TWINS) and name != NO_TWIN:
            continue
        yield RENAMED.get(name, name), "geffnet", lambda name=name: geffnet.create_model(name)
    for name, stages in CHAMNET.items():
        blocks = lambda stages=stages: gen_efficientnet.GenEfficientNet(decode_arch_def(stages), norm_kwargs={})
        yield name, "geffnet", blocks
    for width in (50, 75):
        make = lambda width=width: mobilenetv3_seed(width / 100)
        yield f"mobilenetv3_{width:03}", "geffnet", make
    for name in ("mobilenetv1_100", "mobilenetv4_conv_small", "mobilenetv4_conv_medium"):
        yield name, "timm", lambda name=name: timm.create_model(name)


def size_of(name):
    part = next((part for part in name.split("_")[1:] if part in SIZES), None)
    return SIZES.get(part, 224) if "efficientnet" in name else 224


def multiply_adds(model, size):
    total = 0

    def count(module, _inputs, output):
        nonlocal total
        if isinstance(module, torch.nn.Conv2d):
            total += module.weight.numel() * output.shape[-1] * output.shape[-2]
        elif isinstance(module, torch.nn.Linear):
            total += module.weight.numel()

    for module in model.modules():
        module.register_forward_hook(count)
    model.to("meta").eval()(torch.empty(1, 3, size, size, device="meta"))
    return total


def main():
    warnings.filterwarnings("ignore")
    rows, logits = [], {}
    for name, origin, make in networks():
        size = size_of(name)
        # timm strides edge residual blocks in their first convolution, geffnet in the second, where three quarters
        # of the first one's output are thrown away. The results are the same for symmetric padding.
        edge = name.endswith(("_es", "_em", "_el"))
        madds = multiply_adds(timm.create_model(name) if edge else make(), size)
        model = make()
        state = model.state_dict()
        for key, tensor in state.items():
            if not key.endswith("num_batches_tracked"):
                tensor.copy_(synthetic(key, tuple(tensor.shape)))
        model.eval()
        recorded = HEAVY_SIZE if madds > HEAVY else size
        with torch.no_grad():
            logits[name] = model(synthetic("input", (1, 3, recorded, recorded)))[0].numpy()
        parameters = sum(parameter.numel() for parameter in model.parameters())
        rows.append((name, origin, recorded, parameters, madds))
        print(*rows[-1], flush=True)
    with (HERE / "zoo.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("name", "origin", "size", "parameters", "multiply_adds"))
        writer.writerows(sorted(rows))
    np.save(HERE / "zoo.npy", np.stack([logits[name] for name, *_ in sorted(rows)]))


if __name__ == "__main__":
    main()
