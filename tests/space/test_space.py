import random

import optuna
import pytest

from hamerspace.errors import ConfigError
from hamerspace.recipe import Parameter
from hamerspace.space.choice import Choice
from hamerspace.space.describe import recipe_label
from hamerspace.space.space import Space

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


def test_draws_are_recipes_of_the_space_and_reach_all_of_it(space):
    source = random.Random(0)
    drawn = {space.draw(source).id for _ in range(400)}
    assert drawn == {recipe.id for recipe in space.recipes()}


def test_draws_take_each_choice_evenly_and_repeat_with_the_seed(space):
    drawn = [space.draw(random.Random(seed)) for seed in range(400)]
    assert drawn == [space.draw(random.Random(seed)) for seed in range(400)]
    openvino = sum(recipe.backend == "openvino" for recipe in drawn)
    assert openvino == pytest.approx(200, abs=50)  # though it has fewer recipes


def test_neighbours_are_recipes_of_the_space_one_choice_away(space):
    ids = {recipe.id for recipe in space.recipes()}
    for recipe in space.recipes():
        own = space.suggestions(recipe)
        near = list(space.neighbours(recipe))
        assert {n.id for n in near} <= ids - {recipe.id}
        assert len({n.id for n in near}) == len(near)
        for neighbour in near:
            other = space.suggestions(neighbour)
            changed = [name for name in own.keys() & other.keys() if own[name] != other[name]]
            assert len(changed) == 1


def test_a_neighbour_takes_defaults_for_what_its_change_switches_on(space):
    static = space.complete({"backend": "onnxruntime", "onnxruntime.quantization": "static_int8"})
    near = {n["backend"]: n for n in space.neighbours(static) if n.backend != static.backend}
    assert near["openvino"]["openvino.quantization"] == "none"
    assert "onnxruntime.quantization" not in near["openvino"].parameters


def test_every_recipe_is_reached_over_neighbours(space):
    start = next(space.recipes())
    seen, left = {start.id}, [start]
    while left:
        for near in space.neighbours(left.pop()):
            if near.id not in seen:
                seen.add(near.id)
                left.append(near)
    assert seen == {recipe.id for recipe in space.recipes()}


def test_of_a_continuous_range_neighbours_take_the_ends_and_the_middle(assemble):
    space = assemble({"backend": "onnxruntime", "prune.ratio": {"low": 0.2, "high": 0.6}})
    recipe = space.complete({"backend": "onnxruntime", "prune.ratio": 0.3})
    near = [n["prune.ratio"] for n in space.neighbours(recipe)]
    assert near == pytest.approx([0.2, 0.4, 0.6])
    drawn = [space.draw(random.Random(seed))["prune.ratio"] for seed in range(50)]
    assert all(0.2 <= ratio <= 0.6 for ratio in drawn)
    assert len(set(drawn)) == 50
