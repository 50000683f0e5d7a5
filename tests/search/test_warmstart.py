import pytest

from hamerspace.backends import BACKENDS
from hamerspace.constraints import Constraints
from hamerspace.search.warmstart import first_trials
from tests.search.conftest import SOURCE


def _drop(recipe):
    for known in BACKENDS.load(recipe.backend).known_recipes(SOURCE):
        if all(recipe.get(name) == value for name, value in known.parameters.items()):
            found = known.drop_points
    return found


@pytest.mark.parametrize("name", ["quick", "cpu"])
def test_each_backend_begins_with_its_baseline(spaces, name):
    first = first_trials(spaces(name), SOURCE, Constraints())
    baselines = [f.recipe.backend for f in first if f.origin == "baseline"]
    assert baselines == [f.recipe.backend for f in first[: len(baselines)]]
    assert set(baselines) == {"onnxruntime", "openvino", "pytorch"}
    assert {f.origin for f in first[len(baselines) :]} == {"known"}


@pytest.mark.parametrize("name", ["quick", "cpu"])
def test_every_first_recipe_is_one_of_the_space_and_none_comes_twice(spaces, name):
    space = spaces(name)
    ids = {recipe.id for recipe in space.recipes()}
    first = [f.recipe.id for f in first_trials(space, SOURCE, Constraints())]
    assert set(first) <= ids
    assert len(set(first)) == len(first)


def test_recipes_that_are_expected_to_lose_too_much_come_last(spaces):
    limit = 0.05
    first = first_trials(spaces("cpu"), SOURCE, Constraints(max_accuracy_drop=limit))
    lossy = [_drop(f.recipe) > limit for f in first if f.origin == "known"]
    assert lossy == sorted(lossy)
    assert any(lossy)
