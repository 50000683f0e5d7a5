"""Print how many candidates a search measures a minute, beside one that evaluates each in full.

python scripts/benchmark_live.py [--study studies/fashion_mnist/study.yaml] [--seconds 240]

Both search the same space on this machine for the same wall time, from nothing but the measured
source model. The other is what one writes with Optuna alone: its sampler suggests, each trial is
built from the start and measured on all rows to the full tolerance, and a recipe that comes again
is evaluated again. Counted are distinct recipes that were built, ran, and whose fate was measured;
beside it stands the share of the source's box that feasible candidates dominate, with an axis for
each objective: doublings of latency and size up to 16, the drop up to its allowance.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna

from hamerspace._optuna import sqlite_url
from hamerspace.build.store import Store
from hamerspace.config.loading import load_study
from hamerspace.constraints import penalty
from hamerspace.outcome.measurement import Gate, Measurement
from hamerspace.outcome.record import Evaluation, Record, judge
from hamerspace.recipe import Recipe
from hamerspace.search.goal import Goal
from hamerspace.search.ledger import Ledger
from hamerspace.search.loop import SearchLoop
from hamerspace.search.prepared import Prepared
from hamerspace.search.run_folder import RunFolder
from hamerspace.search.samplers import make_proposer, make_sampler
from hamerspace.search.stop import Budget
from hamerspace.search.surrogate.figures import figures_of
from hamerspace.search.surrogate.gain import dominated_share
from hamerspace.search.warmstart import first_trials
from hamerspace.search.workbench import Workbench

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "studies" / "fashion_mnist" / "study.yaml"
STOCK = ("nsgaii", "tpe", "random")
_DOUBLINGS = 4.0


class Silent:
    """Listens and says nothing."""

    def trial_started(self, *_: object) -> None:
        """Nothing is shown."""

    def trial_finished(self, *_: object) -> None:
        """Nothing is shown."""


class Plain:
    """Evaluates each recipe in full, and keeps nothing of it for the next.

    Args:
        bench: Of the study.
        folder: Its outputs.
        store: Its store; what is in it now stays.
    """

    def __init__(self, bench: Workbench, folder: RunFolder, store: Store) -> None:
        self._bench = bench
        self._folder = folder
        self._store = store
        self._kept = self._entries()

    def __call__(self, recipe: Recipe) -> Evaluation:
        bench = self._bench
        log = self._folder.recipe_log(recipe, "measure.log")
        built = bench.build(recipe)
        if built.candidate is None:
            measurement = Measurement(Gate.BUILD, built.error, failed=True)
        else:
            bench.settle()
            plan = bench.plan(recipe, "search", gated=True)
            plan = replace(plan, gates=replace(plan.gates, gated=False))
            measurement = bench.measurer.measure(built.candidate, plan, log)
        for entry in self._entries() - self._kept:
            shutil.rmtree(entry)
        return Evaluation(recipe, measurement, built.seconds)

    def _entries(self) -> set[Path]:
        return set(self._store.root.glob("??/*"))


def search_plainly(
    bench: Workbench, goal: Goal, evaluate: Plain, sampler: str, deadline_s: float
) -> list[Record]:
    """Ask, evaluate, tell: a loop as Optuna's users write it."""
    stock = make_sampler(sampler, 0)
    study = optuna.create_study(directions=goal.directions, sampler=stock)
    records = []
    while time.monotonic() < deadline_s:
        trial = study.ask()
        evaluation = evaluate(bench.prepared.space.suggest(trial))
        violations, values, imputed = judge(
            evaluation, goal.constraints, goal.objectives, goal.source
        )
        for name, value in violations.items():
            trial.set_constraint(name, value)
        study.tell(trial, goal.told(values, penalty(violations)))
        records.append(Record(evaluation, "sampled", violations, values, imputed))
    return records


def search_ours(bench: Workbench, goal: Goal, folder: Path, deadline_s: float) -> list[Record]:
    """What a search does, without what earlier studies found."""
    names = [objective.quantity.key for objective in goal.objectives]
    url = sqlite_url(folder / "study.db")
    ledger = Ledger(url, "live", goal.directions, names, lambda _: make_sampler("auto", 0))
    known = bench.prepared
    first = first_trials(known.space, known.task.info, known.constraints, ())
    proposer = make_proposer("auto", known.space, goal, bench.stages, 0)
    loop = SearchLoop(ledger, known.space, bench.evaluate, goal, first, Silent(), 0, proposer)
    loop.run(Budget(10**6, deadline_s))
    return list(ledger.records.values())


Searching = Callable[[Workbench, Goal, RunFolder, Store, float], list[Record]]


def measured(records: list[Record]) -> set[str]:
    """Ids of the recipes that were built and ran."""
    return {record.recipe.id for record in records if not record.measurement.failed}


def share(records: list[Record], goal: Goal) -> float:
    """Of the box between the source model and 16 times better, dominated by feasible trials."""
    figures = [figure for figure in figures_of(goal) if figure.objective]
    points = [
        [found[0] for figure in figures if (found := figure.observe(record.measurement))]
        for record in records
        if record.feasible
    ]
    low = np.array([-_DOUBLINGS if f.low is None else f.low for f in figures])
    high = np.array([f.high for f in figures])
    return dominated_share(np.array(points).reshape(-1, len(figures)), low, high)


def course(study: Path, search: Searching, seconds: float) -> tuple[list[Record], Goal]:
    with tempfile.TemporaryDirectory() as name:
        folder, store = RunFolder(Path(name) / "run"), Store(Path(name) / "store")
        folder.path.mkdir()
        with (
            Prepared(load_study(study), store) as prepared,
            Workbench(prepared, folder) as bench,
        ):
            minimize = prepared.task.metric.direction == "minimize"
            source = bench.source_values
            goal = Goal(bench.config.objectives, prepared.constraints, source, minimize)
            return search(bench, goal, folder, store, time.monotonic() + seconds), goal


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, default=STUDY)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--sampler", choices=STOCK, default=STOCK[0])
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print(f"load average {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")
    rates = []
    ways: dict[str, Searching] = {
        f"{arguments.sampler}, each in full": lambda bench, goal, folder, store, end: (
            search_plainly(bench, goal, Plain(bench, folder, store), arguments.sampler, end)
        ),
        "hamerspace": lambda bench, goal, folder, _, end: search_ours(
            bench, goal, folder.path, end
        ),
    }
    for name, search in ways.items():
        records, goal = course(arguments.study, search, arguments.seconds)
        rates.append(60 * len(measured(records)) / arguments.seconds)
        feasible = {record.recipe.id for record in records if record.feasible}
        print(
            f"{name:24} {len(records):4} trials, {len(measured(records)):4} distinct measured: "
            f"{rates[-1]:5.1f} a minute; {len(feasible)} keep the limits and dominate "
            f"{100 * share(records, goal):.1f} %",
            flush=True,
        )
    print(f"{rates[1] / rates[0]:.1f} times as many a minute")


if __name__ == "__main__":
    main()
