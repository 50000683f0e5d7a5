"""Print what the search adds to each trial: 1,000 trials over a simulated target.

python scripts/benchmark_overhead.py [--trials 1000] [--sampler auto]
"""

import argparse
import tempfile
import time
from pathlib import Path

from hamerspace._optuna import sqlite_url
from hamerspace.backends.base import Host
from hamerspace.config.loading import parse_space_file
from hamerspace.constraints import Constraints, Objective
from hamerspace.search.goal import Goal
from hamerspace.search.ledger import Ledger
from hamerspace.search.loop import SearchLoop
from hamerspace.search.samplers import make_proposer, make_sampler
from hamerspace.search.stop import Budget
from hamerspace.search.warmstart import first_trials
from hamerspace.space import assemble_space, find_space_file
from hamerspace.tasks.model import SourceInfo, TensorSpec
from hamerspace.testing.simulation import NothingBuilt, SimulatedEvaluator


class _Clock:
    """Counts the seconds spent outside the evaluator."""

    def __init__(self) -> None:
        self.marks: list[float] = []

    def trial_started(self, *_: object) -> None:
        """Nothing is timed here: the evaluator takes microseconds."""

    def trial_finished(self, *_: object) -> None:
        self.marks.append(time.perf_counter())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--sampler", default="auto")
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
            [objective.label for objective in objectives],
            lambda seed: make_sampler(arguments.sampler, seed),
        )
        clock = _Clock()
        first = first_trials(space, source, constraints)
        proposer = make_proposer(arguments.sampler, space, goal, NothingBuilt(), 0)
        loop = SearchLoop(ledger, space, SimulatedEvaluator(), goal, first, clock, 0, proposer)
        started = time.perf_counter()
        stopped = loop.run(Budget(arguments.trials)).text
        total_s = time.perf_counter() - started
    count = len(clock.marks)
    print(f"{space.count()} recipes, sampler {arguments.sampler}; {stopped}")
    print(f"{count} trials in {total_s:.1f} s: {1000 * total_s / count:.1f} ms each")
    for first in range(0, count, max(count // 5, 1)):
        last = min(first + max(count // 5, 1), count) - 1
        if last > first:
            each = 1000 * (clock.marks[last] - clock.marks[first]) / (last - first)
            print(f"  trials {first} to {last}: {each:.1f} ms each")


if __name__ == "__main__":
    main()
