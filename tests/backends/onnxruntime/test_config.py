import pytest

from hamerspace.backends.base import Host
from hamerspace.backends.onnxruntime.config import CONFIG
from hamerspace.tasks.model import SourceInfo, TensorSpec
from hamerspace.testing.backends import enumerate_parameters

HOST = Host("x86_64", frozenset())
SPECS = (TensorSpec("x", "float32", (None, 4)),)


def info(*families):
    return SourceInfo("onnx", SPECS, SPECS, 10, 40, tuple(sorted(families)))


def masked(*families):
    masks = CONFIG.capabilities(info(*families), HOST)
    assert all(mask.reason for mask in masks)
    return {value for mask in masks for value in mask.values}


def test_everything_is_offered_where_there_is_a_linear_layer():
    assert masked("conv", "linear") == set()


def test_a_model_without_weights_cannot_be_int8():
    assert masked("norm") == {"static_int8", "dynamic_int8"}


def test_a_recurrent_model_has_dynamic_int8_only():
    assert masked("rnn") == {"static_int8"}


def test_linear_is_masked_where_only_convolutions_hold_weights():
    assert masked("conv") == {"linear"}


def test_static_int8_has_no_optimization_level():
    combinations = enumerate_parameters(CONFIG)
    static = [c for c in combinations if c["onnxruntime.quantization"] == "static_int8"]
    assert static == [{"backend": "onnxruntime", "onnxruntime.quantization": "static_int8"}]
    assert len(combinations) == 4 + 1 + 2 * 2 * 4 + 4


@pytest.mark.parametrize("families", [("conv",), ("attention", "linear"), ("rnn",), ()])
def test_known_recipes_are_buildable(families):
    source = info(*families)
    forbidden = {(m.parameter, v) for m in CONFIG.capabilities(source, HOST) for v in m.values}
    recipes = CONFIG.known_recipes(source)
    assert recipes[0].parameters["onnxruntime.quantization"] == "none"
    assert not any(forbidden & set(recipe.parameters.items()) for recipe in recipes)
