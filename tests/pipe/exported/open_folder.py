"""Opens huggingface/ with the Auto classes of transformers, and compares its logits with those of model.onnx."""
import json
import pathlib
import sys

import numpy
import onnx
import onnx.reference
import torch
import transformers

folder = pathlib.Path(sys.argv[1])
model, report = transformers.AutoModelForVideoClassification.from_pretrained(folder / "huggingface", output_loading_info=True)
# The predictor of V-JEPA 2 takes no part in classification, and is not exported.
missing = [name for name in report.pop("missing_keys") if not name.startswith("vjepa2.predictor.")]
assert not missing, missing
assert not any(report.values()), report
is_video = model.config.model_type == "vjepa2"
auto = transformers.AutoVideoProcessor if is_video else transformers.AutoImageProcessor
processor = auto.from_pretrained(folder / "huggingface")
file = onnx.load(folder / "model.onnx")
shape = [size.dim_value for size in file.graph.input[0].type.tensor_type.shape.dim][1:]
clip = numpy.random.default_rng(0).standard_normal([2, *shape]).astype(numpy.float32)
expected = onnx.reference.ReferenceEvaluator(file).run(None, {"clip": clip})[0]
with torch.no_grad():
    found = model.eval()(torch.from_numpy(clip).transpose(1, 2)).logits.numpy()  # [N, T, C, H, W]
difference = numpy.abs(found - expected).max() / numpy.abs(expected).max()
name = type(processor).__name__.removesuffix("Fast")
print(type(model).__name__, name, "equal" if difference < 1e-4 else f"differs by {difference}")
