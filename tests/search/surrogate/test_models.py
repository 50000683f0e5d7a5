import numpy as np
import pytest

from hamerspace.outcome.measurement import Gate, Measurement
from hamerspace.outcome.record import Evaluation
from hamerspace.quantities import Objective
from hamerspace.search.surrogate.features import Encoder
from hamerspace.search.surrogate.figures import figures_of
from hamerspace.search.surrogate.models import Models
from hamerspace.testing.simulation import SimulatedEvaluator


@pytest.fixture
def learnt(small, record):
    """``learnt(goal, recipes, evaluate=None)`` is models that know the trials of some recipes."""

    def learnt(goal, recipes, evaluate=None):
        models = Models(Encoder(small), goal, tune_growth=1.2)
        models.learn([record(recipe, goal, evaluate) for recipe in recipes])
        return models

    return learnt


@pytest.fixture
def recipes(small):
    return list(small.recipes())


@pytest.fixture
def rows(small, recipes):
    return Encoder(small).encode(recipes)


def test_figures_of_untried_recipes_are_foreseen(learnt, goal, recipes, rows):
    wanted = goal(Objective.LATENCY, Objective.SIZE)
    found = learnt(wanted, recipes[::2]).forecast(rows)
    evaluate = SimulatedEvaluator(failing=0)
    actual = np.array(
        [[f.observe(evaluate(r).measurement)[0] for f in figures_of(wanted)] for r in recipes]
    )
    assert found.means.shape == found.deviations.shape == (len(recipes), 2)
    missed = np.abs(found.means - actual)[1::2].mean(axis=0)
    assert (missed < 0.5 * actual.std(axis=0)).all()
    np.testing.assert_array_equal(found.chance, 1.0)


def test_the_box_reaches_from_the_best_to_hope_for_to_the_limits(learnt, goal, recipes, rows):
    wanted = goal(Objective.QUALITY, Objective.SIZE, max_size_mb=1.0, max_accuracy_drop=2.0)
    found = learnt(wanted, recipes[::2]).forecast(rows)
    assert found.low[0] == 0.0
    assert found.high.tolist() == [f.high for f in figures_of(wanted)]
    assert (found.low < found.high).all()
    assert found.low[1] <= found.means[:, 1].min()


def test_a_part_of_a_forecast_has_the_figures_of_its_rows(learnt, goal, recipes, rows):
    found = learnt(goal(), recipes[:8]).forecast(rows)
    part = found.of(np.array([3, 1]))
    np.testing.assert_array_equal(part.means, found.means[[3, 1]])
    np.testing.assert_array_equal(part.chance, found.chance[[3, 1]])
    np.testing.assert_array_equal(part.low, found.low)


def test_recipes_like_those_that_failed_are_expected_to_fail(learnt, goal, recipes, rows):
    def picky(recipe):
        if recipe.backend == "openvino":
            return Evaluation(recipe, Measurement(Gate.BUILD, "no", failed=True))
        return SimulatedEvaluator(failing=0)(recipe)

    found = learnt(goal(), recipes[::2], picky).forecast(rows)
    openvino = np.array([recipe.backend == "openvino" for recipe in recipes])
    assert found.chance[openvino].max() < found.chance[~openvino].min()
    assert found.chance.min() >= 0


def test_a_limit_that_is_no_objective_lowers_the_chance_of_what_misses_it(
    learnt, goal, recipes, rows
):
    evaluate = SimulatedEvaluator(failing=0)
    memory = np.array([evaluate(recipe).measurement.peak_memory_mb for recipe in recipes])
    limit = float(np.median(memory))
    wanted = goal(Objective.QUALITY, Objective.LATENCY, max_memory_mb=limit)
    chance = learnt(wanted, recipes).forecast(rows).chance
    assert chance[memory < 0.8 * limit].min() > 0.8
    assert chance[memory > 1.25 * limit].max() < 0.2


def test_where_nothing_was_measured_anything_is_possible(learnt, goal, recipes, rows):
    found = learnt(goal(), recipes[:4], SimulatedEvaluator(failing=1.1)).forecast(rows)
    np.testing.assert_array_equal(found.deviations, 1.0)
    assert np.isfinite(found.means).all()


def test_the_front_is_of_feasible_recipes_that_none_dominates(small, goal, record, recipes):
    wanted = goal(Objective.LATENCY, Objective.SIZE, max_accuracy_drop=0.8)
    records = [record(recipe, wanted) for recipe in recipes]
    members, points = Models(Encoder(small), wanted, 1.2).front(records)
    feasible = [r for r in records if r.feasible]
    assert 0 < len(feasible) < len(records)
    wanted_ids = {
        r.recipe.id
        for r in feasible
        if not any(
            o is not r and all(o.values[n] <= r.values[n] for n in ("latency", "size"))
            for o in feasible
        )
    }
    assert {member.id for member in members} == wanted_ids
    assert points.shape == (len(members), 2)


def test_without_a_feasible_trial_the_front_is_empty(small, goal):
    members, points = Models(Encoder(small), goal(), 1.2).front([])
    assert members == []
    assert points.shape == (0, 3)


def test_of_very_many_trials_a_part_is_learnt(small, goal, record, recipes, rows):
    wanted = goal(Objective.SIZE)
    models = Models(Encoder(small), wanted, 1.2)
    models.learn([record(recipe, wanted) for recipe in recipes] * 60)
    assert len(models._seen) <= 500
    assert np.isfinite(models.forecast(rows).means).all()
