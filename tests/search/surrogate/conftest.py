import pytest

from hamerspace.config.space import SpaceConfig
from hamerspace.constraints import Constraints
from hamerspace.outcome.record import Record, judge
from hamerspace.quantities import Objective
from hamerspace.search.goal import Goal
from hamerspace.space.assemble import assemble_space
from hamerspace.testing.simulation import SimulatedEvaluator
from tests.search.conftest import FIGURES, HOST, SOURCE


@pytest.fixture
def assemble():
    """``assemble(parameters)`` gives a space for a convolutional PyTorch module."""

    def assemble(parameters):
        config = SpaceConfig.model_validate({"name": "mine", "parameters": parameters})
        return assemble_space(config, SOURCE, HOST, "cross_entropy")

    return assemble


@pytest.fixture
def small(assemble):
    """Two runtimes with quantization and pruning: 20 recipes."""
    return assemble(
        {
            "backend": ["onnxruntime", "openvino"],
            "onnxruntime.quantization": ["none", "static_int8", "dynamic_int8"],
            "openvino.quantization": ["none", "weights_int8"],
            "prune.ratio": [0.0, 0.25, 0.5, 0.75],
        }
    )


@pytest.fixture
def continuous(assemble):
    return assemble({"backend": "onnxruntime", "prune.ratio": {"low": 0.2, "high": 0.6}})


@pytest.fixture
def goal():
    """``goal(*objectives, **limits)``; by default quality, latency and size without a limit."""

    def goal(*objectives, **limits):
        chosen = objectives or (Objective.QUALITY, Objective.LATENCY, Objective.SIZE)
        return Goal(chosen, Constraints(**limits), FIGURES)

    return goal


@pytest.fixture
def record():
    """``record(recipe, goal, evaluate=None)`` is a finished trial of a recipe."""

    def record(recipe, goal, evaluate=None):
        evaluation = (evaluate or SimulatedEvaluator(failing=0))(recipe)
        return Record(
            evaluation, "sampled", *judge(evaluation, goal.constraints, goal.objectives, FIGURES)
        )

    return record
