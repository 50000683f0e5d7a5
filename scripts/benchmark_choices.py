"""Print what each choice within our search is worth, over tables of real measurements.

python scripts/benchmark_choices.py [--tables digits] [--seeds 10] [--groups cost penalty]

Each choice is varied alone, the others as they are in a search; the first line of a group is what
a search does. Printed are the trials and the virtual seconds to 95 % of the exhaustive feasible
hypervolume, medians over the seeds. Penalty, imputation and repeats only matter to Optuna's
samplers, so they are varied with ``nsgaii``, with our gates, store and reuse.
"""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

from benchmark_search import REACHED, searched, tables, until_reached
from optuna.samplers import NSGAIISampler
from tables.strategies import OURS, Strategy
from tables.table import Table

from hamerspace.constraints import penalty
from hamerspace.errors import HamerspaceError
from hamerspace.outcome.record import Record
from hamerspace.search.loop import SearchLoop
from hamerspace.search.surrogate.proposer import Settings

WORST = 2.0
"""Of the source model's value, what a worse imputation stands at."""


class Weighted(SearchLoop):
    """Penalties of another weight, and imputed values that are worse than the source's."""

    weight = 1.0
    imputed_at = 1.0

    def _values(self, record: Record) -> list[float]:
        goal, values = self.goal, dict(record.values)
        for objective in goal.objectives:
            if objective.value in record.imputed:
                better = goal.maximizes(objective)
                values[objective.value] *= 1 / self.imputed_at if better else self.imputed_at
        return goal.told(values, self.weight * penalty(record.violations))


class NoPenalty(Weighted):
    weight = 0.0


class Tenth(Weighted):
    weight = 0.1


class Tenfold(Weighted):
    weight = 10.0


class WorseImputed(Weighted):
    imputed_at = WORST


def _ours(**settings: float) -> Strategy:
    return replace(OURS, settings=Settings(**settings))  # type: ignore[arg-type]


STOCK = Strategy("nsgaii", NSGAIISampler, thrifty=True, fills=True)

GROUPS = {
    "cost": {
        "gain / seconds ** 0.25": OURS,
        "gain": _ours(cost_exponent=0.0),
        "gain / seconds ** 0.5": _ours(cost_exponent=0.5),
        "gain / seconds": _ours(cost_exponent=1.0),
    },
    "first": {
        "all known recipes first": OURS,
        "six known recipes first": replace(OURS, first=6),
        "three known recipes first": replace(OURS, first=3),
        "only baselines and defaults": replace(OURS, first=0),
        "all, in no order": replace(OURS, ranked=False),
    },
    "fit": {
        "tuned at 1.2 times as many": OURS,
        "tuned at 1.05 times as many": _ours(tune_growth=1.05),
        "tuned at 2 times as many": _ours(tune_growth=2.0),
        "a proposal more for each 25": _ours(trials_a_fit=25),
        "one proposal a fit": _ours(trials_a_fit=10**9),
    },
    "penalty": {
        "weight 1, repeats made up for": STOCK,
        "no penalty": replace(STOCK, loop=NoPenalty),
        "weight 0.1": replace(STOCK, loop=Tenth),
        "weight 10": replace(STOCK, loop=Tenfold),
        "imputed at twice the source": replace(STOCK, loop=WorseImputed),
        "repeats only reused": replace(STOCK, fills=False),
        "known recipes first": replace(STOCK, first=None),
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="*")
    parser.add_argument("--groups", nargs="*", default=list(GROUPS), choices=list(GROUPS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    paths = tables(arguments.tables)
    print(f"{'':30}", *(f"{Table.load(path).setting.task:>22}" for path in paths))
    with ProcessPoolExecutor(arguments.processes) as pool:
        for group in arguments.groups:
            for name, strategy in GROUPS[group].items():
                cells = []
                for path in paths:
                    courses = searched(
                        path, strategy, arguments.seeds, arguments.trials, pool, REACHED
                    )
                    trials, seconds, never = until_reached(courses)
                    missed = f" ({never})" if never else ""
                    cells.append(f"{trials:.0f} in {seconds:,.0f} s{missed}")
                print(f"{name:30}", *(f"{cell:>22}" for cell in cells), flush=True)
            print()


if __name__ == "__main__":
    try:
        main()
    except HamerspaceError as error:
        sys.exit(f"error: {error}")
