import optuna
import pytest

from hamerspace.errors import ConfigError
from hamerspace.recipe import Parameter
from hamerspace.space import Space
from hamerspace.space.choice import Choice
from hamerspace.space.describe import recipe_label

DECLARED = {
    "backend": ["onnxruntime", "openvino"],
    "onnxruntime.quantization": ["none", "static_int8", "dynamic_int8"],
    "onnxruntime.optimization_level": ["all", "basic"],
    "openvino.quantization": ["none", "weights_int8"],
    "prune.ratio": [0.0, 0.5],
}


@pytest.fixture
def space(assemble):
    return assemble(DECLARED)


def test_suggestions_are_recipes_of_the_space(space):
    ids = {recipe.id for recipe in space.recipes()}
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    met = {space.suggest(study.ask()).id for _ in range(150)}
    assert met <= ids
    assert len(met) > len(ids) / 2


def test_only_what_leaves_a_choice_is_asked_of_a_sampler(space):
    trial = optuna.create_study().ask({})
    recipe = space.suggest(trial)
    assert set(trial.params) == set(space.suggestions(recipe))
    assert "onnxruntime.weight_type" not in trial.params
    assert set(trial.params) <= set(DECLARED)


def test_a_recipe_comes_back_from_its_suggestions(space):
    study = optuna.create_study()
    for recipe in space.recipes():
        study.enqueue_trial(space.suggestions(recipe))
        assert space.suggest(study.ask()) == recipe


def test_completion_fills_in_defaults(space):
    recipe = space.complete({"backend": "onnxruntime", "onnxruntime.quantization": "static_int8"})
    assert "prune.ratio" not in recipe.parameters  # its default does nothing
    assert "onnxruntime.optimization_level" not in recipe.parameters


def test_completion_takes_the_first_value_where_the_default_is_gone(assemble):
    space = assemble({"backend": "onnxruntime", "onnxruntime.optimization_level": ["basic"]})
    assert space.complete({"backend": "onnxruntime"})["onnxruntime.optimization_level"] == "basic"


@pytest.mark.parametrize(
    "partial",
    [
        {"backend": "pytorch"},
        {"backend": "onnxruntime", "onnxruntime.quantization": "fp16"},
        {"backend": "onnxruntime", "openvino.quantization": "none"},
        {"backend": "onnxruntime", "no.such.parameter": 1},
        {
            "backend": "onnxruntime",
            "onnxruntime.quantization": "static_int8",
            "onnxruntime.optimization_level": "basic",
        },
    ],
)
def test_what_the_space_rules_out_or_makes_inert_is_not_completed(space, partial):
    assert space.complete(partial) is None


def test_a_continuous_range_completes_within_its_ends(assemble):
    space = assemble({"backend": "onnxruntime", "prune.ratio": {"low": 0.2, "high": 0.6}})
    assert space.complete({"backend": "onnxruntime"})["prune.ratio"] == 0.2
    assert space.complete({"backend": "onnxruntime", "prune.ratio": 0.35})["prune.ratio"] == 0.35
    assert space.complete({"backend": "onnxruntime", "prune.ratio": 0.9}) is None
    for _ in range(20):
        recipe = space.suggest(optuna.create_study().ask())
        assert 0.2 <= recipe["prune.ratio"] <= 0.6


def test_a_space_without_a_recipe_is_refused():
    nothing = Choice(Parameter("backend", "x", "Runtime", ("x",)), ())
    with pytest.raises(ConfigError, match="choose another space or widen this one"):
        Space("empty", [nothing])


def test_a_true_choice_is_not_the_number_one():
    flag = Parameter("flag", default=False, description="", choices=(False, True))
    assert flag.accepts(True)
    assert not flag.accepts(1)


@pytest.mark.parametrize(
    ("partial", "label"),
    [
        ({"backend": "onnxruntime"}, "onnxruntime fp32"),
        (
            {"backend": "onnxruntime", "onnxruntime.quantization": "static_int8"},
            "onnxruntime static_int8",
        ),
        (
            {"backend": "onnxruntime", "onnxruntime.optimization_level": "basic"},
            "onnxruntime fp32 basic",
        ),
        ({"backend": "openvino", "prune.ratio": 0.5}, "openvino fp32, prune 0.5"),
    ],
)
def test_labels_tell_recipes_apart_and_leave_defaults_out(space, partial, label):
    assert recipe_label(space.complete(partial)) == label


def test_no_two_recipes_have_the_same_label(space):
    labels = [recipe_label(recipe) for recipe in space.recipes()]
    assert len(set(labels)) == len(labels)
