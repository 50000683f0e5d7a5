import pytest

from hamerspace.backends import BACKENDS
from hamerspace.constraints import Constraints
from hamerspace.search.warmstart import MOST_RECALLED, ORIGINS, FirstTrial, apart, first_trials
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
    assert {f.origin for f in first[len(baselines) :]} == {"default", "known"}


def test_what_a_single_tool_does_by_default_is_tried_before_what_we_think_better(spaces):
    first = first_trials(spaces("cpu"), SOURCE, Constraints())
    origins = [f.origin for f in first]
    assert origins == sorted(origins, key=["baseline", "default", "known"].index)
    assert all(bool(f.default_of) == (f.origin == "default") for f in first)
    assert {f.default_of for f in first} >= {"ONNX Runtime static int8", "NNCF int8"}


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


def test_what_was_found_before_comes_after_what_tools_do_and_before_what_is_known(spaces):
    space = spaces("cpu")
    plain = first_trials(space, SOURCE, Constraints())
    ids = [f.recipe.id for f in plain]
    new = [r for r in space.recipes() if r.id not in ids][: MOST_RECALLED + 1]
    last = plain[-1].recipe
    recalled = [FirstTrial(r, "history") for r in (plain[0].recipe, last, *new)]
    first = first_trials(space, SOURCE, Constraints(), recalled)
    origins = [f.origin for f in first]
    assert origins == sorted(origins, key=["baseline", "default", "history", "known"].index)
    found = [f.recipe for f in first if f.origin == "history"]
    assert found == [last, *new[: MOST_RECALLED - 1]], "a baseline takes no place"
    assert {f.recipe.id for f in first} >= set(ids), "nothing is tried less for it"
    assert len({f.recipe.id for f in first}) == len(first)


def test_searches_that_share_trials_begin_with_other_recipes_of_the_same_origin(spaces):
    first = first_trials(spaces("cpu"), SOURCE, Constraints())
    orders = [apart(first, seed) for seed in range(3)]
    assert orders[0] == apart(first, 0)
    assert orders[0] != orders[1] != orders[2]
    for order in orders:
        assert sorted(order, key=first.index) == list(first)
        origins = [entry.origin for entry in order]
        assert origins == sorted(origins, key=ORIGINS.index)
