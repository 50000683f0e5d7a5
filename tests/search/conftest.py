from types import SimpleNamespace

import pytest

from hamerspace.backends.base import Host
from hamerspace.config.loading import parse_space_file
from hamerspace.config.packaged import packaged_spaces
from hamerspace.constraints import Constraints
from hamerspace.quantities import Objective
from hamerspace.search.goal import Goal
from hamerspace.search.ledger import Ledger
from hamerspace.search.loop import SearchLoop
from hamerspace.search.samplers import make_proposer, make_sampler
from hamerspace.search.stop import Budget
from hamerspace.search.warmstart import first_trials
from hamerspace.space.assemble import assemble_space
from hamerspace.tasks.model import SourceInfo, TensorSpec
from hamerspace.testing.simulation import NothingBuilt, SimulatedEvaluator

SOURCE = SourceInfo(
    "pytorch",
    (TensorSpec("x", "float32", (None, 3, 16, 16)),),
    (TensorSpec("y", "float32", (None, 5)),),
    10_000,
    40_000,
    ("conv", "linear", "norm"),
)
HOST = Host("x86_64", frozenset({"avx512_bf16", "avx512_vnni"}))
LIMITS = Constraints(max_size_mb=1.6, max_latency_ms=0.4, max_accuracy_drop=1.6)
FIGURES = {
    "quality": 0.92,
    "latency": 1.0,
    "size": 4.0,
    "memory": 12.0,
    "throughput": 1000.0,
    "download": 4.0,
    "p90_latency": 2.5,
    "load_time": 20.0,
}


class Watcher:
    def __init__(self):
        self.started, self.finished = [], []

    def trial_started(self, number, recipe, origin):
        self.started.append((number, recipe, origin))

    def trial_finished(self, number, record):
        self.finished.append((number, record))


@pytest.fixture(scope="session")
def spaces():
    """``spaces(name)`` assembles a space that comes along for a convolutional PyTorch module."""

    def assemble(name):
        config = parse_space_file(packaged_spaces()[name])
        return assemble_space(config, SOURCE, HOST, "cross_entropy")

    return assemble


@pytest.fixture
def simulate(spaces, tmp_path):
    """``simulate(n_trials, **settings)`` runs a search on simulated figures."""

    def simulate(
        n_trials,
        *,
        space="cpu",
        constraints=LIMITS,
        objectives=(Objective.QUALITY, Objective.LATENCY, Objective.SIZE),
        evaluate=None,
        sampler="auto",
        seed=0,
        storage="study.db",
        deadline_s=None,
        name="simulated",
        shared=False,
        min_gain_percent=None,
        known_to_fail=lambda _: False,
    ):
        found = spaces(space) if isinstance(space, str) else space
        goal = Goal(objectives, constraints, FIGURES)
        ledger = Ledger(
            f"sqlite:///{tmp_path / storage}",
            name,
            goal.directions,
            [o.quantity.key for o in objectives],
            lambda trials: make_sampler(sampler, seed + trials),
            shared=shared,
        )
        calls, watcher = [], Watcher()
        evaluate = evaluate or SimulatedEvaluator()

        def counted(recipe, *, always_timed=False):
            calls.append(recipe)
            return evaluate(recipe)

        first = first_trials(found, SOURCE, constraints)
        proposer = make_proposer(sampler, found, goal, NothingBuilt(), seed, shared=shared)
        loop = SearchLoop(
            ledger, found, counted, goal, first, watcher, seed, proposer, known_to_fail
        )
        stopped = loop.run(Budget(n_trials, deadline_s, min_gain_percent))
        return SimpleNamespace(
            records=dict(ledger.records),
            trials=ledger.kept.trials,
            study=ledger.kept,
            calls=calls,
            watcher=watcher,
            stopped=stopped.text,
            stop=stopped,
            first=first,
            space=found,
            goal=goal,
            ledger=ledger,
        )

    return simulate
