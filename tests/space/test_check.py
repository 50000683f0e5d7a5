"""A recipe from elsewhere against what techniques and backends offer."""

import pytest

from hamerspace.errors import BackendUnavailableError, ConfigError
from hamerspace.recipe import Recipe
from hamerspace.space.check import calibrated_by, check_recipe
from tests.space.conftest import HOST


@pytest.fixture
def check(sources):
    def check(parameters, source=sources.conv, loss="cross_entropy"):
        return check_recipe(Recipe(parameters), source, HOST, loss)

    return check


def test_every_recipe_of_a_space_passes_unchanged(assemble, check):
    space = assemble(
        {
            "prune.ratio": [0.0, 0.3],
            "recover.method": ["none", "distill"],
            "backend": ["onnxruntime", "openvino"],
            "onnxruntime.quantization": ["none", "static_int8", "dynamic_int8"],
            "openvino.quantization": ["none", "int8"],
        }
    )
    for recipe in space.recipes():
        assert check(recipe.parameters) == recipe


def test_what_is_left_out_takes_its_default(check):
    found = check({"backend": "onnxruntime", "onnxruntime.quantization": "static_int8"})
    assert found["onnxruntime.activation_type"] == "quint8"
    assert "prune.ratio" not in found
    assert "onnxruntime.weight_type" not in found


def test_a_whole_number_stands_for_a_fraction(check):
    assert "prune.ratio" not in check({"backend": "onnxruntime", "prune.ratio": 0})


def test_every_mistake_has_its_line(check):
    parameters = {
        "backend": "onnxruntime",
        "onnxruntime.quantization": "none",
        "onnxruntime.weight_type": "qint8",
        "onnxruntime.fusion": "transformer",
        "openvino.preset": "mixed",
        "prune.ratioo": 0.3,
    }
    with pytest.raises(ConfigError) as raised:
        check(parameters)
    lines = str(raised.value).splitlines()[1:]
    assert [line.split()[0].rstrip(":") for line in lines] == [
        "onnxruntime.fusion",
        "onnxruntime.weight_type",
        "openvino.preset",
        "prune.ratioo",
    ]


def test_training_needs_a_train_split(check):
    pruned = {"backend": "onnxruntime", "prune.ratio": 0.3, "recover.method": "finetune"}
    check(pruned)
    with pytest.raises(ConfigError, match="there is no train split"):
        check(pruned, loss=None)


def test_a_backend_that_is_unknown_or_missing_is_refused(check, monkeypatch):
    with pytest.raises(BackendUnavailableError, match="did you mean 'openvino'"):
        check({"backend": "openvin"})
    monkeypatch.setattr(
        "hamerspace.backends.openvino.config.CONFIG.missing", lambda: ("openvino",), raising=False
    )
    with pytest.raises(BackendUnavailableError, match="not installed"):
        check({"backend": "openvino"})


def test_which_recipes_look_at_calibration_data():
    def of(**parameters):
        named = {k.replace("__", "."): v for k, v in parameters.items()}
        return calibrated_by(Recipe({"backend": "onnxruntime", **named}))

    assert of(onnxruntime__quantization="none") == ()
    assert of(onnxruntime__quantization="dynamic_int8") == ()
    assert of(onnxruntime__quantization="static_int8") == ("onnxruntime.quantization static_int8",)
    ranked = of(onnxruntime__quantization="dynamic_int8", onnxruntime__float_layers=2)
    assert ranked == ("onnxruntime.float_layers 2",)
