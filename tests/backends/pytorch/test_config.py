"""What the PyTorch backend refuses, and why."""

import pytest

from hamerspace.backends.base import Host
from hamerspace.backends.pytorch.config import CONFIG
from hamerspace.tasks.model import SourceInfo, TensorSpec

BF16 = Host("x86_64", frozenset({"avx512_bf16"}))


def info(format_name="pytorch", families=("conv", "linear")):
    spec = TensorSpec("x", "float32", (None, 4))
    return SourceInfo(format_name, (spec,), (spec,), 10, 40, tuple(families))


def masked(source, host=BF16):
    return {
        (mask.parameter, value): mask.reason
        for mask in CONFIG.capabilities(source, host)
        for value in mask.values
    }


def test_a_module_with_everything_has_no_mask():
    assert masked(info()) == {}


def test_onnx_is_refused_as_a_whole():
    assert masked(info("onnx")) == {("backend", "pytorch"): "PyTorch cannot run ONNX models"}


@pytest.mark.parametrize("format_name", ["torchscript", "torch_export"])
def test_other_torch_formats_keep_their_precision(format_name):
    refused = {value for _, value in masked(info(format_name))}
    assert refused == {"bf16", "dynamic_int8", "static_int8"}


def test_convolutions_alone_cannot_be_quantised_dynamically():
    assert set(masked(info(families=("conv",)))) == {("pytorch.quantization", "dynamic_int8")}


@pytest.mark.parametrize(
    ("host", "refused"),
    [
        (Host("x86_64", frozenset({"avx2"})), True),
        (Host("x86_64", frozenset({"amx_bf16"})), False),
        (Host("aarch64", frozenset()), False),
    ],
)
def test_bf16_needs_hardware(host, refused):
    assert (("pytorch.quantization", "bf16") in masked(info(), host)) is refused


def test_known_recipes_start_with_the_baseline():
    first = CONFIG.known_recipes(info())[0]
    assert first.parameters["pytorch.quantization"] == "none"
    assert first.latency_ratio == first.size_ratio == 1.0
