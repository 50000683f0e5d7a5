"""Print how samplers compare over tables of real measurements.

python scripts/benchmark_search.py [--tables fashion_mnist] [--seeds 20]

Every sampler searches every table on a virtual clock, which each step advances by what it took when
the table was measured. Printed are the share of the exhaustive feasible hypervolume after so many
trials and virtual seconds, and the trials and the seconds to 95 % of it: the median over the seeds.
``gp`` takes seconds a trial, so hours for many seeds; ``--strategies`` leaves it out.
"""

import argparse
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from hamerspace.testing.tables.progress import Reach
from hamerspace.testing.tables.strategies import OURS, STOCK, THRIFTY_RANDOM, Course, run
from hamerspace.testing.tables.table import Table

FOLDER = Path(__file__).parents[1] / "studies" / "tables"
BY_NAME = {strategy.name: strategy for strategy in (*STOCK, THRIFTY_RANDOM, OURS)}


def courses(path: Path, name: str, seeds: Sequence[int], trials: int) -> list[Course]:
    table = Table.load(path)
    reach = Reach(table)
    return [run(table, reach, BY_NAME[name], seed, trials, 0.999) for seed in seeds]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="*")
    parser.add_argument("--strategies", nargs="*", default=list(BY_NAME))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    paths = sorted(FOLDER.glob("*.json.xz"))
    for path in paths:
        name = path.name.removesuffix(".json.xz")
        if arguments.tables and name not in arguments.tables:
            continue
        table = Table.load(path)
        reach = Reach(table)
        print(
            f"{name}: {len(table.rows)} recipes, {reach.feasible} of them keep the limits and are "
            f"no worse than the source, {reach.front_size} on the front"
        )
        for strategy in arguments.strategies:
            parts = [
                range(k, arguments.seeds, arguments.processes) for k in range(arguments.processes)
            ]
            with ProcessPoolExecutor(arguments.processes) as pool:
                found = [
                    c
                    for part in pool.map(
                        partial(courses, path, strategy, trials=arguments.trials), parts
                    )
                    for c in part
                ]
            line(strategy, found)


def line(name: str, found: Sequence[Course]) -> None:
    def at(trials: int) -> float:
        return statistics.median(c.shares[min(trials, len(c.shares)) - 1] for c in found)

    reached = [c.reached(0.95) for c in found]
    trials = statistics.median(
        len(c.shares) if r is None else r[0] for r, c in zip(reached, found, strict=True)
    )
    seconds = statistics.median(
        c.seconds[-1] if r is None else r[1] for r, c in zip(reached, found, strict=True)
    )
    each = 1000 * sum(c.sampling_s for c in found) / sum(len(c.shares) for c in found)
    missed = sum(r is None for r in reached)
    shares = " ".join(f"{at(n):.2f}" for n in (10, 20, 40, 80, 160))
    print(
        f"  {name:16} {shares}  95%: {trials:6.0f} trials {seconds:8.0f} s  ({missed} never) "
        f"{each:6.1f} ms/trial",
        flush=True,
    )


if __name__ == "__main__":
    main()
