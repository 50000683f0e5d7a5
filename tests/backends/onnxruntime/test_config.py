import pytest

from hamerspace.backends.base import Host
from hamerspace.backends.onnxruntime.config import CONFIG
from hamerspace.tasks.model import SourceInfo, TensorSpec
from hamerspace.testing.backends import enumerate_parameters

HOST = Host("x86_64", frozenset())
SPECS = (TensorSpec("x", "float32", (None, 4)),)


def info(*families, **details):
    return SourceInfo("onnx", SPECS, SPECS, 10, 40, tuple(sorted(families)), details=details)


def masked(*families, host=HOST, **details):
    """Values that are refused, those that need other hardware or attention left out."""
    source = info(*families, **details)
    masks = CONFIG.capabilities(source, host)
    assert all(mask.reason for mask in masks)
    offered = {p.name: p.choices for p in CONFIG.parameters()}
    refused = {v for m in masks for v in offered[m.parameter] if m.covers(v)}
    return refused - {"qint8", "transformer"}


def test_everything_is_offered_where_there_is_a_linear_layer():
    assert masked("conv", "linear") == set()


def test_a_model_without_weights_is_not_quantised():
    assert masked("norm") == {"static_int8", "dynamic_int8", "weights_int8", "weights_int4"}


def test_a_recurrent_model_has_dynamic_int8_only():
    assert masked("rnn") == {"static_int8", "weights_int8", "weights_int4"}


def test_linear_is_masked_where_only_convolutions_hold_weights():
    assert masked("conv") == {"linear", "weights_int8", "weights_int4"}


def test_a_quantised_model_is_not_quantised_again():
    kinds = {"static_int8", "dynamic_int8", "weights_int8", "weights_int4", "fp16"}
    assert masked("conv", "linear", quantized=True) == kinds
    recipes = CONFIG.known_recipes(info("conv", "linear", quantized=True))
    assert [r.parameters["onnxruntime.quantization"] for r in recipes] == ["none"]


def test_fusion_is_for_attention():
    parameters = {m.parameter for m in CONFIG.capabilities(info("attention"), HOST)}
    assert "onnxruntime.fusion" not in parameters
    parameters = {m.parameter for m in CONFIG.capabilities(info("linear"), HOST)}
    assert "onnxruntime.fusion" in parameters


def test_signed_activations_are_for_other_processors_than_x86():
    arm = Host("aarch64", frozenset())
    for host, expected in ((HOST, True), (arm, False)):
        masks = CONFIG.capabilities(info("linear"), host)
        assert any(m.parameter == "onnxruntime.activation_type" for m in masks) == expected


def test_static_int8_has_no_optimization_level():
    combinations = enumerate_parameters(CONFIG)
    static = [c for c in combinations if c["onnxruntime.quantization"] == "static_int8"]
    assert static
    assert not any("onnxruntime.optimization_level" in c for c in static)


def test_a_ranking_does_not_depend_on_how_many_layers_are_kept():
    one, two = (
        CONFIG.sensitivity_parameters({"quantization": "static_int8", "float_layers": n})
        for n in (1, 2)
    )
    assert one == two == {"quantization": "static_int8"}
    assert CONFIG.sensitivity_parameters({"quantization": "static_int8", "float_layers": 0}) is None
    assert CONFIG.sensitivity_parameters({"quantization": "none"}) is None


def test_the_tools_own_defaults_are_named():
    found = {r.default_of for r in CONFIG.known_recipes(info("conv", "linear"))}
    assert {"ONNX Runtime static int8", "ONNX Runtime dynamic int8"} <= found


@pytest.mark.parametrize("families", [("conv",), ("attention", "linear"), ("rnn",), ()])
def test_known_recipes_are_buildable(families):
    source = info(*families)
    forbidden = {(m.parameter, v) for m in CONFIG.capabilities(source, HOST) for v in m.values}
    recipes = CONFIG.known_recipes(source)
    assert recipes[0].parameters["onnxruntime.quantization"] == "none"
    assert not any(forbidden & set(recipe.parameters.items()) for recipe in recipes)
