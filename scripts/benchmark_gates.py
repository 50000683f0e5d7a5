"""Print what ending trials early saves, and how often it is wrong, over tables of measurements.

python scripts/benchmark_gates.py [--tables fashion_mnist] [--folder studies/tables]

Every recipe of a table is taken through the gates on a virtual clock, which each step advances by
what it took when the table was measured. Printed are the seconds of measuring all recipes, builds
left out, split into those that all rows show to keep the limit on quality and those that do not;
and how many of the former were ended. The order of the gates is tried with a limit on latency
besides, at the median of the table. A star marks what times even those that miss the limit.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from scipy import optimize, stats
from tables.replay import TableSteps, VirtualClock
from tables.table import Row, Table

from hamerspace.constraints import Constraints
from hamerspace.errors import HamerspaceError
from hamerspace.measure.protocol import SHORT, Gates, Protocol, _Ended, look_takes_less
from hamerspace.measure.quality import FIRST_LOOK, GROWTH, looks
from hamerspace.measure.sequential import (
    LEVEL,
    Boundary,
    constant_boundary,
    crossing_probability,
)
from hamerspace.outcome.measurement import Gate

FOLDER = Path(__file__).parents[1] / "studies" / "tables"


class QualityFirst(Protocol):
    """All looks before the short latency."""

    def _early(self) -> None:
        self._looks(self._gates.looks[:-1])
        self._short_latency()


class AlwaysTimed(Protocol):
    """Latency is measured in full even where all rows show a drop over the limit."""

    def _quality(self) -> None:
        with suppress(_Ended):
            super()._quality()


class NoShortLatency(Protocol):
    """Latency is measured in full, once all rows have been seen."""

    def _early(self) -> None:
        self._looks(self._gates.looks[:-1])


@cache
def uncorrected(rows: tuple[int, ...]) -> tuple[float, ...]:
    return (float(stats.norm.isf(LEVEL)),) * len(rows)


@cache
def bonferroni(rows: tuple[int, ...]) -> tuple[float, ...]:
    """As if the looks, and that at all rows, were independent."""
    return (float(stats.norm.isf(LEVEL / (len(rows) + 1))),) * len(rows)


def spending(share: Callable[[float], float]) -> Boundary:
    """Spend the level as the rows come in (Lan and DeMets 1983)."""

    @cache
    def boundary(rows: tuple[int, ...]) -> tuple[float, ...]:
        bounds: list[float] = []
        for index, count in enumerate(rows):
            spent = LEVEL * share(count / rows[-1])

            def excess(bound: float, index: int = index, spent: float = spent) -> float:
                return crossing_probability(rows[: index + 1], [*bounds, bound]) - spent

            bounds.append(float(optimize.brentq(excess, 1.0, 9.0, xtol=1e-4)))
        return tuple(bounds)

    return boundary


@dataclass(frozen=True)
class Variant:
    name: str
    first: int = FIRST_LOOK
    growth: float = GROWTH
    boundary: Boundary = constant_boundary
    protocol: type[Protocol] = Protocol
    gated: bool = True
    look_first: bool | None = False


BOUNDARIES = (
    Variant("in full", gated=False),
    Variant("200 rows, doubled, Bonferroni *", 200, 2.0, bonferroni, AlwaysTimed),
    Variant("200 rows, doubled, Bonferroni", 200, 2.0, bonferroni),
    Variant("100 rows, by 4 (the default)"),
    Variant("100 rows, by 4 *", protocol=AlwaysTimed),
    Variant("50 rows, by 4", 50),
    Variant("200 rows, by 4", 200),
    Variant("100 rows, by 1.4", growth=2**0.5),
    Variant("100 rows, doubled", growth=2.0),
    Variant("100 rows, by 8", growth=8.0),
    Variant("100 rows, by 4, Bonferroni", boundary=bonferroni),
    Variant("100 rows, by 4, spent evenly", boundary=spending(lambda t: t)),
    Variant("100 rows, by 4, spent late", boundary=spending(lambda t: t**3)),
    Variant("100 rows, by 4, uncorrected", boundary=uncorrected),
)
ORDERS = (
    Variant("in full", gated=False),
    Variant("latency, looks"),
    Variant("looks, latency", protocol=QualityFirst),
    Variant("a look, latency, looks", look_first=True),
    Variant("a look first where it takes less", look_first=None),
    Variant("looks only", protocol=NoShortLatency),
)


@dataclass(frozen=True)
class Task:
    """What all recipes of a table have in common.

    Attributes:
        limits: Of the search.
        batch_size: Rows by which looks grow at least.
        first_look: Rows of the first look in a search; more than usual where less says nothing.
        source_ms: The source model's latency.
    """

    limits: Constraints
    batch_size: int
    first_look: int
    source_ms: float


@dataclass
class Spent:
    """Seconds, and candidates that were ended although they keep the limit on quality."""

    kept_s: float = 0.0
    missed_s: float = 0.0
    wrong: int = 0


def spend(rows: Iterable[Row], variant: Variant, task: Task) -> Spent:
    found, limit = Spent(), task.limits.max_accuracy_drop or 0.0
    for row in rows:
        first = max(variant.first, task.first_look if task.first_look > FIRST_LOOK else 0)
        counts = looks(row.looks[-1].quality.of_rows, task.batch_size, first, variant.growth)
        look_first = variant.look_first
        if look_first is None:
            look_first = look_takes_less(counts[0], task.batch_size, task.source_ms, SHORT)
        gates = Gates(
            task.limits,
            counts,
            variant.gated,
            look_first=look_first,
            boundary=variant.boundary,
        )
        clock = VirtualClock()
        measured = variant.protocol(gates, TableSteps(row, clock)).measure()
        kept = row.looks[-1].quality.drop.estimate <= limit
        found.kept_s += kept * clock.now_s
        found.missed_s += (not kept) * clock.now_s
        found.wrong += kept and measured.ended_at is Gate.QUALITY
    return found


def line(variant: Variant, spent: Spent, kept: int) -> None:
    total = spent.kept_s + spent.missed_s
    wrong = f"{spent.wrong} of {kept} ended wrongly"
    print(
        f"  {variant.name:32}{total:9.1f} s ={spent.kept_s:9.1f} keep "
        f"+{spent.missed_s:8.1f} miss  {wrong}",
        flush=True,
    )


def compare(table: Table) -> None:
    setting = table.setting
    rows = [row for row in table.rows if row.looks]
    limit = setting.constraints.max_accuracy_drop
    if limit is None:
        print("  no limit on quality")
        return
    kept = sum(row.looks[-1].quality.drop.estimate <= limit for row in rows)
    print(f"{setting.task}: {len(rows)} recipes that run, {kept} keep a drop of {limit:g}")
    source_ms = setting.source_values["latency"]
    task = Task(setting.constraints, setting.batch_size, setting.first_look, source_ms)
    show(BOUNDARIES, rows, task, kept)
    latencies = [row.short.latency_ms.estimate for row in rows if row.short is not None]
    half_ms = statistics.median(latencies)
    print(f"  with at most {half_ms:.3g} ms, source model {task.source_ms:.3g} ms:")
    show(ORDERS, rows, replace(task, limits=replace(task.limits, max_latency_ms=half_ms)), kept)


def show(variants: Sequence[Variant], rows: Sequence[Row], task: Task, kept: int) -> None:
    for variant in variants:
        line(variant, spend(rows, variant, task), kept)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="*")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    for path in sorted(arguments.folder.glob("*.json.xz")):
        if not arguments.tables or path.name.removesuffix(".json.xz") in arguments.tables:
            compare(Table.load(path))


if __name__ == "__main__":
    try:
        main()
    except HamerspaceError as error:
        sys.exit(f"error: {error}")
