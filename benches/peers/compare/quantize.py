"""Quantize a network as a peer's own tool for it does, to 8-bit weights and activations, with photographs.

    python -m compare.quantize PEER SOURCE TARGET MODEL PHOTOGRAPHS

SOURCE is the float network in the form that the tool takes, MODEL the ONNX file with the card that tells how the
photographs in the directory PHOTOGRAPHS are prepared. A process of its own: the tools are large and print much.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from .photographs import Preprocess, find, tensors


def onnxruntime(source: Path, target: Path, preprocess: Preprocess, files: list[Path]):
    """To pairs of QuantizeLinear and DequantizeLinear, as its documentation advises for x86 with VNNI."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    pictures = iter(tensors(files, preprocess))

    class Reader(CalibrationDataReader):
        def get_next(self):
            picture = next(pictures, None)
            return None if picture is None else {"input": picture[None]}

    with tempfile.TemporaryDirectory() as directory:
        prepared = Path(directory) / "prepared.onnx"
        # Shapes are all fixed: the symbolic inference, which wants SymPy, would find no more.
        quant_pre_process(source, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            target,
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


def openvino(source: Path, target: Path, preprocess: Preprocess, files: list[Path]):
    """By NNCF; asymmetric activations, as its documentation advises for other activations than ReLU."""
    # Without, it reports its use over the network.
    os.environ["NNCF_CI"] = "1"
    import nncf
    import openvino

    model = openvino.Core().read_model(source)
    pictures = nncf.Dataset(list(tensors(files, preprocess)[:, None]))
    made = nncf.quantize(model, pictures, preset=nncf.QuantizationPreset.MIXED, subset_size=len(files))
    openvino.save_model(made, target, compress_to_fp16=False)


def litert(source: Path, target: Path, preprocess: Preprocess, files: list[Path]):
    """By ai-edge-quantizer's recipe for static int8; inputs and outputs are int8, too.

    Ranges are minima and maxima. By default they are running averages of those, which cut the largest logits off: that
    would cost MobileNetV2 a fifth of its answers.
    """
    from ai_edge_quantizer import calibrator, quantizer, recipe, recipe_manager
    from ai_edge_quantizer.utils import qsv_utils

    from .tflite import SIGNATURE

    channels_last = np.ascontiguousarray(tensors(files, preprocess).transpose(0, 2, 3, 1))
    manager = recipe_manager.RecipeManager()
    manager.load_quantization_recipe(recipe.static_wi8_ai8())
    ranges = calibrator.Calibrator(str(source), qsv_update_func=qsv_utils.min_max_update)
    ranges.calibrate({SIGNATURE: [{"input": picture[None]} for picture in channels_last]}, manager)
    tool = quantizer.Quantizer(str(source), recipe.static_wi8_ai8())
    tool.quantize(ranges.get_model_qsvs()).export_model(str(target), overwrite=True)


def mnn(source: Path, target: Path, preprocess: Preprocess, files: list[Path]):
    """By its own tool, with asymmetric ranges ("EMA").

    All photographs are one batch: running averages over batches, as it takes them, cut the largest logits off.
    """
    import _tools

    with tempfile.TemporaryDirectory() as directory:
        pictures = Path(directory) / "pictures"
        pictures.mkdir()
        for number, file in enumerate(files):
            with Image.open(file) as picture:
                preprocess.pixels(picture).save(pictures / f"{number:04}.png")
        settings = {
            "format": "RGB",
            "mean": preprocess.mean,
            "normal": [1 / value for value in preprocess.std],
            "width": preprocess.size,
            "height": preprocess.size,
            "path": f"{pictures}/",
            "used_image_num": len(files),
            "batch_size": len(files),
            "feature_quantize_method": "EMA",
            "weight_quantize_method": "MAX_ABS",
            "model": str(source),
        }
        file = Path(directory) / "settings.json"
        file.write_text(json.dumps(settings))
        # A list as of a command line; the package's script gives it three strings, with which it aborts.
        _tools.mnnquant(["mnnquant", str(source), str(target), str(file)])


TOOLS = {"onnxruntime": onnxruntime, "openvino": openvino, "litert": litert, "mnn": mnn}


def main():
    peer, source, target, model, directory = sys.argv[1:]
    TOOLS[peer](Path(source), Path(target), Preprocess.of(Path(model)), find(Path(directory)))


if __name__ == "__main__":
    main()
