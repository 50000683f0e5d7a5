"""Print how samplers compare over tables of real measurements.

python scripts/benchmark_search.py [--tables fashion_mnist] [--seeds 20]

Every sampler searches every table on a virtual clock, which each step advances by what it took when
the table was measured. Printed are the share of the exhaustive feasible hypervolume after so many
trials and after so many virtual seconds, the trials and the seconds to 95 % of it, and the
recipes that were built again: medians over the seeds. Then what ``hamerspace`` needs of what
``random`` does. Some of the others take long to choose: ``--strategies`` leaves them out.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from tables.progress import Reach
from tables.strategies import (
    OURS,
    STOCK,
    THRIFTY_RANDOM,
    Course,
    Strategy,
    run,
)
from tables.table import Table

from hamerspace.errors import HamerspaceError

FOLDER = Path(__file__).parents[1] / "studies" / "tables"
BY_NAME = {strategy.name: strategy for strategy in (*STOCK, THRIFTY_RANDOM, OURS)}
AFTER_TRIALS = (10, 20, 40, 80, 160)
AFTER_S = (30, 100, 300, 1000, 3000)
REACHED = 0.95


def tables(names: Sequence[str] | None) -> list[Path]:
    """The named tables, or all."""
    return [
        path
        for path in sorted(FOLDER.glob("*.json.xz"))
        if not names or path.name.removesuffix(".json.xz") in names
    ]


def searched(
    path: Path,
    strategy: Strategy,
    seeds: int,
    trials: int,
    pool: ProcessPoolExecutor,
    share: float = 0.999,
) -> list[Course]:
    """The course of a search for each seed, until it has reached the share."""
    return list(pool.map(partial(_course, path, strategy, trials, share), range(seeds)))


_loaded: dict[Path, tuple[Table, Reach]] = {}


def _course(path: Path, strategy: Strategy, trials: int, share: float, seed: int) -> Course:
    if path not in _loaded:
        table = Table.load(path)
        _loaded[path] = table, Reach(table)
    return run(*_loaded[path], strategy, seed, trials, share)


def until_reached(courses: Iterable[Course]) -> tuple[float, float, int]:
    """Median trials and seconds to 95 %, and how many never came there: these count in full."""
    trials, seconds, never = [], [], 0
    for course in courses:
        found = course.reached(REACHED)
        never += found is None
        trials.append(len(course.shares) if found is None else found[0])
        seconds.append(course.seconds[-1] if found is None else found[1])
    return statistics.median(trials), statistics.median(seconds), never


def line(name: str, courses: Sequence[Course]) -> str:
    def shares(counts: Iterable[int], share: Callable[[Course, int], float]) -> str:
        return " ".join(f"{statistics.median(share(c, n) for c in courses):.2f}" for n in counts)

    by_trials = shares(AFTER_TRIALS, lambda c, n: c.shares[min(n, len(c.shares)) - 1])
    by_seconds = shares(AFTER_S, lambda c, n: c.share_after(n))
    trials, seconds, never = until_reached(courses)
    again = statistics.median(c.builds - (len(c.shares) - c.repeats) for c in courses)
    each = 1000 * sum(c.sampling_s for c in courses) / sum(len(c.shares) for c in courses)
    return (
        f"  {name:16} {by_trials} | {by_seconds} |{trials:5.0f} trials{seconds:8.0f} s "
        f"({never} never), {again:.0f} built again, {each:.0f} ms/trial"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="*")
    parser.add_argument("--strategies", nargs="*", default=list(BY_NAME), choices=list(BY_NAME))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    print(f"share after trials {AFTER_TRIALS} | after seconds {AFTER_S} | to {REACHED:.0%}")
    with ProcessPoolExecutor(arguments.processes) as pool:
        for path in tables(arguments.tables):
            table = Table.load(path)
            reach = Reach(table)
            print(
                f"{table.setting.task}: {len(table.rows)} recipes, {reach.feasible} of them keep "
                f"the limits and are no worse than the source, {reach.front_size} on the front"
            )
            found = {}
            for name in arguments.strategies:
                courses = searched(path, BY_NAME[name], arguments.seeds, arguments.trials, pool)
                print(line(name, courses), flush=True)
                found[name] = until_reached(courses)
            if {"random", OURS.name} <= found.keys():
                ours, chance = found[OURS.name], found["random"]
                print(
                    f"  {OURS.name} needs {ours[0] / chance[0]:.0%} of random's trials and "
                    f"{ours[1] / chance[1]:.1%} of its seconds"
                )


if __name__ == "__main__":
    try:
        main()
    except HamerspaceError as error:
        sys.exit(f"error: {error}")
