"""Names of recipes tell the truth of what is stored."""

import pytest

from hamerspace.recipe import Recipe
from hamerspace.space.describe import recipe_label, stored_precisions
from hamerspace.tasks.model import SourceInfo, TensorSpec

SPECS = (TensorSpec("x", "float32", (None, 4)),)


@pytest.mark.parametrize(
    ("form", "dtypes", "quantized", "backend", "name"),
    [
        ("onnx", ("float32", "int64"), False, "onnxruntime", "fp32"),
        ("onnx", ("int64", "float32"), False, "onnxruntime", "fp32"),
        ("onnx", ("float64", "float32"), False, "onnxruntime", "fp64"),
        ("onnx", ("int8", "float32"), True, "onnxruntime", "int8"),
        ("tflite", ("uint8", "int32"), True, "litert", "uint8"),
        ("tflite", ("int4", "float32"), True, "litert", "int4"),
        # PyTorch is made to compute it in float32, as a conversion is.
        ("pytorch", ("bfloat16", "float32"), False, "pytorch", "fp32"),
        ("pytorch", ("bfloat16", "float32"), False, "onnxruntime", "fp32"),
    ],
)
def test_what_is_not_quantised_is_named_as_it_is_stored(form, dtypes, quantized, backend, name):
    details = {"quantized": quantized}
    source = SourceInfo(form, SPECS, SPECS, 10, 40, (), weight_dtypes=dtypes, details=details)
    recipe = Recipe({"backend": backend, f"{backend}.quantization": "none"})
    assert recipe_label(recipe, stored_precisions(source)) == f"{backend} {name}"
