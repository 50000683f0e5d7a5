"""Print what the search adds to each trial: 1,000 trials over a simulated target.

python scripts/benchmark_overhead.py [--trials 1000] [--sampler auto] [--trial-s 0]

With ``--trial-s 1`` each trial sleeps for a second, as if something else were building and
measuring it: what is written meanwhile is not waited for.
"""

import argparse
import tempfile
import time
from pathlib import Path

from hamerspace._optuna import sqlite_url
from hamerspace.backends.base import Host
from hamerspace.config.loading import parse_space_file
from hamerspace.constraints import Constraints
from hamerspace.outcome.record import Evaluation
from hamerspace.quantities import Objective
from hamerspace.recipe import Recipe
from hamerspace.search.goal import Goal
from hamerspace.search.ledger import Ledger
from hamerspace.search.loop import SearchLoop
from hamerspace.search.samplers import make_proposer, make_sampler
from hamerspace.search.stop import Budget
from hamerspace.search.warmstart import first_trials
from hamerspace.space.assemble import assemble_space
from hamerspace.space.catalog import find_space_file
from hamerspace.tasks.model import SourceInfo, TensorSpec
from hamerspace.testing.simulation import NothingBuilt, SimulatedEvaluator


class _Sleeping:
    """Trials that take their time.

    Args:
        seconds: Wall seconds of a trial.
    """

    def __init__(self, seconds: float) -> None:
        self._evaluate = SimulatedEvaluator()
        self._seconds = seconds

    def __call__(self, recipe: Recipe, *, always_timed: bool = False) -> Evaluation:  # noqa: ARG002
        if self._seconds:
            time.sleep(self._seconds)
        return self._evaluate(recipe)


class _Clock:
    """Notes when trials ended."""

    def __init__(self) -> None:
        self.marks: list[float] = []

    def trial_started(self, *_: object) -> None:
        """Only ends are noted."""

    def trial_finished(self, *_: object) -> None:
        self.marks.append(time.perf_counter())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--sampler", default="auto")
    parser.add_argument("--trial-s", type=float, default=0.0)
    arguments = parser.parse_args()
    source = SourceInfo(
        "pytorch",
        (TensorSpec("image", "float32", (None, 1, 28, 28)),),
        (TensorSpec("output", "float32", (None, 10)),),
        300_000,
        1_200_000,
        ("conv", "linear", "norm"),
    )
    host = Host("x86_64", frozenset({"avx512_bf16"}))
    config = parse_space_file(find_space_file("cpu", Path.cwd()))
    space = assemble_space(config, source, host, "cross_entropy")
    objectives = (Objective.QUALITY, Objective.LATENCY, Objective.SIZE)
    constraints = Constraints(max_accuracy_drop=1.0)
    goal = Goal(objectives, constraints, {"quality": 0.92, "latency": 1.0, "size": 4.0})
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(
            sqlite_url(Path(folder) / "study.db"),
            "overhead",
            goal.directions,
            [objective.quantity.key for objective in objectives],
            lambda seed: make_sampler(arguments.sampler, seed),
        )
        clock = _Clock()
        first = first_trials(space, source, constraints)
        proposer = make_proposer(arguments.sampler, space, goal, NothingBuilt(), 0)
        evaluate = _Sleeping(arguments.trial_s)
        loop = SearchLoop(ledger, space, evaluate, goal, first, clock, 0, proposer)
        started = time.perf_counter()
        stopped = loop.run(Budget(arguments.trials)).text
        total_s = time.perf_counter() - started
    count = len(clock.marks)
    print(f"{space.count()} recipes, sampler {arguments.sampler}; {stopped}")
    added_s = total_s - count * arguments.trial_s
    print(
        f"{count} trials in {total_s:.1f} s, {100 * added_s / total_s:.1f} % of it by the search: "
        f"{1000 * added_s / count:.1f} ms each"
    )
    for first in range(0, count, max(count // 5, 1)):
        last = min(first + max(count // 5, 1), count) - 1
        if last > first:
            each = 1000 * (clock.marks[last] - clock.marks[first]) / (last - first)
            each -= 1000 * arguments.trial_s
            print(f"  trials {first} to {last}: {each:.1f} ms each")


if __name__ == "__main__":
    main()
