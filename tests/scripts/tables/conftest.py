from dataclasses import replace

import pytest

from hamerspace.backends.base import Host
from hamerspace.config.space import SpaceConfig
from hamerspace.constraints import Constraints
from hamerspace.quantities import Objective
from hamerspace.space.assemble import assemble_space
from hamerspace.testing.simulation import NothingBuilt, SimulatedEvaluator
from scripts.tables.table import Look, Row, Setting, Table
from tests.search.conftest import SOURCE

PARAMETERS = {
    "backend": ["onnxruntime", "openvino", "pytorch"],
    "onnxruntime.quantization": ["none", "static_int8", "dynamic_int8"],
    "openvino.quantization": ["none", "int8", "weights_int8"],
    "pytorch.quantization": ["none", "dynamic_int8"],
    "prune.ratio": [0.0, 0.15, 0.3, 0.45, 0.6, 0.75],
}
SECONDS = {"start": 0.5, "load": 1.0, "short": 2.0, "full": 4.0}
STAGES = {"prune": 10.0, "recover": 20.0}
RUN_S = 8.0
JUDGE_S = 1.0


@pytest.fixture
def space():
    """Three runtimes with quantization and pruning: 48 recipes."""
    config = SpaceConfig.model_validate({"name": "made", "parameters": PARAMETERS})
    return assemble_space(config, SOURCE, Host("x86_64", frozenset()), "cross_entropy")


@pytest.fixture
def make_table(space):
    """``make_table(**limits)`` is a table of simulated figures, with known costs of each step."""

    def make_table(**limits):
        built = [_row(recipe) for recipe in space.recipes()]
        plain = space.complete({"backend": "onnxruntime"})
        source = SimulatedEvaluator(failing=0)(plain).measurement.observed()
        setting = Setting(
            task="made",
            space=space,
            source=SOURCE,
            constraints=Constraints(**limits),
            objectives=(Objective.QUALITY, Objective.LATENCY, Objective.SIZE),
            minimize_quality=False,
            source_values={**source, "latency": 1.2, "size": 4.0},
            environment={"cpu": "made"},
            versions={"hamerspace": "0"},
            taken="2026-01-02",
            batch_size=1,
            first_look=100,
        )
        stages = {k: v for _, found in built for k, v in found.items()}
        return Table(setting, tuple(row for row, _ in built), stages)

    return make_table


@pytest.fixture
def table(make_table):
    return make_table(max_accuracy_drop=2.0)


def _row(recipe):
    """A row and its build stages; pruned models are shared between runtimes."""
    evaluation = SimulatedEvaluator()(recipe)
    labels = NothingBuilt().missing(recipe)
    stages = {}
    for label in labels:
        shared = label in STAGES
        key = f"{label} {recipe['prune.ratio']}" if shared else f"{label} {recipe.id}"
        stages[key] = (label, STAGES.get(label, 3.0))
    if evaluation.measurement.failed:
        return Row(recipe, tuple(stages), evaluation.measurement), stages
    found = evaluation.measurement
    half = replace(found.quality, rows=1000)
    looks = (Look(half, RUN_S / 2, JUDGE_S / 2), Look(found.quality, RUN_S, JUDGE_S))
    return Row(recipe, tuple(stages), found, found.latency, looks, SECONDS), stages
