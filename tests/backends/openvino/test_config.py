import pytest

from hamerspace.backends.base import Host
from hamerspace.backends.openvino.config import CONFIG
from hamerspace.tasks.model import SourceInfo, TensorSpec

SPECS = (TensorSpec("x", "float32", (None, 4)),)
WITH_BF16 = Host("x86_64", frozenset({"avx512_bf16"}))


def masked(*families, host=WITH_BF16, **details):
    source = SourceInfo("onnx", SPECS, SPECS, 10, 40, tuple(sorted(families)), details=details)
    masks = CONFIG.capabilities(source, host)
    offered = {p.name: p.choices for p in CONFIG.parameters()}
    return {(m.parameter, v) for m in masks for v in offered[m.parameter] if m.covers(v)}


def test_everything_is_offered_to_a_transformer_on_a_processor_with_bf16():
    assert masked("attention", "linear") == set()


def test_bf16_needs_a_processor_that_has_it():
    bf16 = {("openvino.precision", "bf16")}
    assert masked("linear", host=Host("x86_64", frozenset({"avx2"}))) == bf16
    assert masked("linear", host=Host("aarch64", frozenset({"bf16"}))) == bf16
    assert masked("linear", host=Host("x86_64", frozenset({"amx_bf16"}))) == set()


def test_convolutions_alone_have_neither_smooth_quant_nor_int4():
    assert masked("conv") == {
        ("openvino.smooth_quant", True),
        ("openvino.quantization", "weights_int4"),
    }


def test_a_model_without_weights_stays_as_it_is():
    kinds = ("int8", "weights_int8", "weights_int4")
    refused = {("openvino.quantization", kind) for kind in kinds}
    assert masked("norm") == refused | {("openvino.smooth_quant", True)}
    assert masked("linear", quantized=True) == refused


def test_a_recurrent_layer_has_no_weights_that_nncf_compresses():
    kinds = {("openvino.quantization", kind) for kind in ("weights_int8", "weights_int4")}
    assert masked("rnn") == kinds | {("openvino.smooth_quant", True)}


@pytest.mark.parametrize(
    "families", [("conv",), ("attention", "linear"), ("rnn",), ("conv", "rnn"), ()]
)
def test_known_recipes_are_buildable(families):
    source = SourceInfo("onnx", SPECS, SPECS, 10, 40, tuple(sorted(families)))
    forbidden = masked(*families)
    recipes = CONFIG.known_recipes(source)
    assert recipes[0].parameters["openvino.quantization"] == "none"
    assert recipes[0].parameters["openvino.precision"] == "f32"
    assert not any(forbidden & set(recipe.parameters.items()) for recipe in recipes)


def test_nncf_s_own_default_is_tried_in_both_precisions():
    source = SourceInfo("onnx", SPECS, SPECS, 10, 40, ("conv", "linear"))
    found = [r.parameters for r in CONFIG.known_recipes(source) if r.default_of == "NNCF int8"]
    assert {r["openvino.precision"] for r in found} == {"f32", "bf16"}
    assert {r["openvino.preset"] for r in found} == {"performance"}


def test_a_ranking_does_not_depend_on_how_4_bit_weights_are_found():
    given = {"quantization": "weights_int4", "group_size": 32, "float_layers": 2}
    rankings = [
        CONFIG.sensitivity_parameters({**given, "int4_method": method})
        for method in ("plain", "gptq")
    ]
    assert rankings == [{"quantization": "weights_int4", "group_size": 32}] * 2
    assert CONFIG.sensitivity_parameters({**given, "float_layers": 0}) is None
