import pytest

from hamerspace import Study
from hamerspace.outcome.record import Evaluation, Record
from hamerspace.recipe import Recipe
from hamerspace.testing.simulation import SimulatedEvaluator

OBJECTIVES = ("quality", "latency", "size")


@pytest.fixture
def study(write_study, tmp_path):
    """A study that was not searched yet, with a budget of six trials."""
    path = write_study(tmp_path / "study", budget={"trials": 6})
    return Study.from_yaml(path, out=tmp_path / "run")


@pytest.fixture
def record():
    """``record(quantization, failing)`` is a finished trial with simulated figures."""

    def make(quantization="none", *, failing=False):
        recipe = Recipe({"backend": "onnxruntime", "onnxruntime.quantization": quantization})
        evaluation: Evaluation = SimulatedEvaluator(failing=float(failing))(recipe)
        values = evaluation.measurement.observed()
        known = {name: values[name] for name in OBJECTIVES if name in values}
        return Record(evaluation, "sampled", {"builds": float(failing)}, known)

    return make
