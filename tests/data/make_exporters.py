#!/usr/bin/env python3
"""Make exporters/: a small network as the exporters of others write it, with the logits that PyTorch gives.

    pip install -r ../reference/requirements.txt onnxscript==0.7.2
    python make_exporters.py

The network has TensorFlow's SAME padding (which exporters write as Pad nodes, or as arithmetic on shapes), a free
batch, and random weights with batch normalisation that does something. The input is the synthetic one (check.py).
"""

import sys
import warnings
from pathlib import Path

import geffnet
import geffnet.config
import numpy as np
import onnx
import torch
from geffnet.gen_efficientnet import GenEfficientNet
from geffnet.efficientnet_builder import decode_arch_def
from timm.models import efficientnet as timm_efficientnet
from timm.models._efficientnet_builder import decode_arch_def as timm_decode

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "onnxruntime"))
from check import synthetic_input  # noqa: E402

SIZE = 64
CLASSES = 5
BLOCKS = [["ds_r1_k3_s1_e1_c8_se0.25"], ["ir_r1_k5_s2_e3_c16_se0.25_nre"], ["ir_r2_k3_s2_e3_c16"]]
SHAPE = dict(num_features=32, stem_size=8, num_classes=CLASSES, pad_type="same", act_layer=torch.nn.SiLU)
NAMES = dict(input_names=["input"], output_names=["logits"])
BATCH = dict(dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}})


def randomise(model):
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
        elif isinstance(module, torch.nn.Linear):
            torch.nn.init.uniform_(module.weight, -1, 1)
    return model.eval()


def forget_where(path):
    """Take out the stack traces of the machine that exported."""
    model = onnx.load(path, load_external_data=False)
    for part in [*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output]:
        del part.metadata_props[:]
    del model.graph.metadata_props[:]
    onnx.save(model, path)


def main():
    warnings.simplefilter("ignore")
    out = HERE / "exporters"
    out.mkdir(exist_ok=True)
    picture = torch.from_numpy(synthetic_input(SIZE))
    logits = []

    model = randomise(timm_efficientnet.EfficientNet(timm_decode(BLOCKS), **SHAPE))
    with torch.no_grad():
        logits.append(model(picture).numpy()[0])
    torch.onnx.export(model, (picture,), str(out / "timm_torchscript.onnx"), dynamo=False, **NAMES, **BATCH)
    # Weights in a file of their own.
    batch = ({0: torch.export.Dim("batch")},)
    torch.onnx.export(model, (picture,), str(out / "timm_dynamo.onnx"), dynamo=True, external_data=True,
                      dynamic_shapes=batch, verbose=False, **NAMES)
    forget_where(out / "timm_dynamo.onnx")
    # As services like it: probabilities, one picture.
    probabilities = torch.nn.Sequential(model, torch.nn.Softmax(dim=1)).eval()
    torch.onnx.export(probabilities, (picture,), str(out / "softmax.onnx"), dynamo=False, **NAMES)

    # As geffnet's own export script does: padding fixed by a first run, weights among the inputs.
    geffnet.config.set_exportable(True)
    model = randomise(GenEfficientNet(decode_arch_def(BLOCKS), norm_kwargs={}, **SHAPE))
    with torch.no_grad():
        logits.append(model(picture).numpy()[0])
    torch.onnx.export(model, (picture,), str(out / "geffnet.onnx"), dynamo=False, keep_initializers_as_inputs=True,
                      **NAMES, **BATCH)
    np.save(out / "logits.npy", np.stack(logits).astype(np.float32))


if __name__ == "__main__":
    main()
