import pytest

from hamerspace.backends.base import Host
from hamerspace.backends.litert.config import CONFIG
from hamerspace.tasks.model import SourceInfo, TensorSpec

SPECS = (TensorSpec("x", "float32", (None, 4)),)
HOST = Host("x86_64", frozenset())
COMPRESSED = {"dynamic_int8", "static_int8", "weights_int8", "dynamic_int4", "fp16"}


def info(*families, **details):
    return SourceInfo("tflite", SPECS, SPECS, 10, 40, tuple(sorted(families)), details=details)


def masked(*families, **details):
    masks = CONFIG.capabilities(info(*families, **details), HOST)
    return {value for mask in masks for value in mask.values}


def test_a_network_with_weights_takes_every_scheme():
    assert masked("conv", "linear") == masked("attention") == masked("rnn") == set()


def test_what_is_quantised_already_or_has_no_weights_stays_as_it_is():
    assert masked("conv", quantized=True) == COMPRESSED
    assert masked("norm") == COMPRESSED


def test_static_int8_needs_something_to_multiply():
    assert masked("embedding") == {"static_int8"}


@pytest.mark.parametrize("families", [("conv",), ("attention", "linear"), ("rnn",), ()])
def test_known_recipes_are_buildable_and_start_from_float(families):
    recipes = CONFIG.known_recipes(info(*families))
    kinds = [recipe.parameters["litert.quantization"] for recipe in recipes]
    assert kinds[0] == "none"
    assert not masked(*families).intersection(kinds)
    assert [r.default_of for r in recipes if r.default_of] == (
        ["LiteRT dynamic int8"] if families else []
    )


def test_only_layers_kept_in_float_need_a_ranking():
    chosen = {"quantization": "dynamic_int8", "min_weights": 0, "float_layers": 2}
    assert CONFIG.sensitivity_parameters(chosen) == {
        "quantization": "dynamic_int8",
        "min_weights": 0,
    }
    assert CONFIG.sensitivity_parameters({**chosen, "float_layers": 0}) is None
    assert CONFIG.sensitivity_parameters({"quantization": "none"}) is None
