import pytest

from hamerspace.outcome.record import Evaluation
from hamerspace.recipe import Recipe
from hamerspace.search.surrogate.costs import expected_seconds
from hamerspace.testing.simulation import SimulatedEvaluator

PRUNED = Recipe({"backend": "onnxruntime", "prune.ratio": 0.5})
PLAIN = Recipe({"backend": "onnxruntime"})


class Stages:
    """A plan of stages, less those that were built."""

    def __init__(self):
        self.built = set()

    def missing(self, recipe):
        techniques = ["prune", "recover"] if "prune.ratio" in recipe.parameters else []
        return [s for s in (*techniques, "build onnxruntime") if s not in self.built]


@pytest.fixture
def stages():
    return Stages()


@pytest.fixture
def timed(record, goal):
    """``timed(**seconds)`` is a trial whose stages took so long, and measuring 2 s."""

    def timed(**seconds):
        def evaluate(recipe):
            measurement = SimulatedEvaluator(failing=0)(recipe).measurement
            object.__setattr__(measurement, "seconds", {"load": 0.5, "latency": 1.5})
            return Evaluation(recipe, measurement, seconds)

        return record(PRUNED, goal(), evaluate)

    return timed


@pytest.fixture
def seconds(stages):
    """``seconds(recipe, *records)`` after these trials."""
    return lambda recipe, *records: expected_seconds([recipe], records, stages)[0]


def test_before_anything_is_known_training_is_expected_to_take_longest(seconds):
    assert seconds(PRUNED) > 3 * seconds(PLAIN) > 0


def test_stages_that_are_built_cost_nothing(stages, seconds):
    before = seconds(PRUNED)
    stages.built = {"prune", "recover"}
    assert seconds(PRUNED) == seconds(PLAIN) < before
    stages.built.add("build onnxruntime")
    assert 0 < seconds(PRUNED) < seconds(PLAIN) + 1


def test_what_trials_took_replaces_the_guess(stages, timed, seconds):
    records = [timed(prune=1.0, recover=100.0)] * 50
    stages.built = {"build onnxruntime"}
    assert seconds(PRUNED, *records) == pytest.approx(1.0 + 100.0 + 2.0, rel=0.05)
    assert seconds(PLAIN, *records) == pytest.approx(2.0, rel=0.05)


def test_learning_again_counts_no_trial_twice(timed, seconds):
    trial = timed(prune=50.0)
    once = seconds(PRUNED, trial)
    assert seconds(PRUNED, trial) == once != seconds(PRUNED)
