import math
import random
from dataclasses import replace

import pytest

from hamerspace.quantities import Metric
from hamerspace.report import RunData, SourceRecord
from hamerspace.report.importance import FEASIBLE, LEAST_RECIPES, importances
from tests.report.example_run import changed, finished


def conditional_run(count, noise=0.0, seed=0):
    """The logarithm of the latency is 1 for backend b, 2 for x, 1 for q of backend a."""
    rng = random.Random(seed)
    trials = []
    for number in range(count):
        chosen = {
            "backend": rng.choice("ab"),
            "x": rng.choice([0.0, 1.0]),
            "noise": rng.choice([1, 2, 3]),
        }
        if chosen["backend"] == "a":
            chosen["a.q"] = rng.choice(["none", "int8"])
        effect = (chosen["backend"] == "b") + 2 * chosen["x"] + (chosen.get("a.q") == "int8")
        values = {"latency_ms": math.exp(effect + rng.gauss(0, noise))}
        trials.append(
            finished(
                number,
                chosen["backend"],
                {**chosen, "id": number},
                feasible=chosen["x"] == 0,
                values=values,
                choices=chosen,
            )
        )
    return RunData(
        "conditional",
        SourceRecord("source"),
        Metric("accuracy"),
        tuple(trials),
        constraints={"max_latency_ms": 5.0},
        objectives=("latency",),
        depends_on={"a.q": ("backend",)},
    )


def test_shares_are_the_total_effects_of_the_choices():
    latency, _ = importances(conditional_run(500))
    # Variances: 1 of x, 3/16 of the backend with what depends on it, 1/8 of q within.
    whole = 1 + 3 / 16
    assert latency.explained > 0.95
    assert latency.shares["x"] == pytest.approx(1 / whole, abs=0.06)
    assert latency.shares["backend"] == pytest.approx(3 / 16 / whole, abs=0.04)
    assert latency.shares["a.q"] == pytest.approx(1 / 8 / whole, abs=0.03)
    assert "noise" not in latency.shares
    assert list(latency.shares) == ["x", "backend", "a.q"]


def test_what_decides_on_the_limits_is_told():
    _, feasible = importances(conditional_run(60, noise=0.1))
    assert feasible.target == FEASIBLE
    assert next(iter(feasible.shares)) == "x"
    assert feasible.shares["x"] > 0.8


def test_nothing_is_told_of_noise_nor_of_too_few_recipes():
    (latency, _) = importances(conditional_run(60, noise=20.0))
    assert (latency.shares, latency.recipes) == ({}, 60)
    for one in importances(conditional_run(LEAST_RECIPES - 1)):
        assert one.shares == {}


def test_trials_of_one_recipe_count_once(run):
    (latency, _) = importances(conditional_run(20))
    twice = conditional_run(20)
    again = tuple(changed(t, number=t.number + 20) for t in twice.trials)
    assert importances(replace(twice, trials=twice.trials + again))[0] == latency


@pytest.mark.parametrize("feasible", [True, False])
def test_where_all_keep_or_miss_the_limits_nothing_is_told_of_them(feasible):
    run = conditional_run(40)
    same = replace(run, trials=tuple(changed(t, feasible=feasible) for t in run.trials))
    assert importances(same)[1].shares == {}


def test_a_run_without_trials_has_nothing_to_tell(shortened_run):
    assert all(one.recipes == 0 for one in importances(shortened_run(0)))


def test_unmeasured_trials_do_not_count():
    run = conditional_run(40)
    bare = tuple(changed(t, values={}) for t in run.trials[:30])
    assert importances(replace(run, trials=bare + run.trials[30:]))[0].recipes == 10
