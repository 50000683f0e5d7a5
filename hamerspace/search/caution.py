"""What to know of the judging before any trial: notes, and warnings that nobody may overlook."""

import numpy as np

from hamerspace._numbers import number
from hamerspace.errors import MetricError, SessionError
from hamerspace.measure.statistics import paired_difference
from hamerspace.search.conclude import BEST_CONFIDENCE
from hamerspace.search.workbench import Workbench
from hamerspace.tasks.metrics import Metric
from hamerspace.tasks.metrics.resolve import FunctionMetric
from hamerspace.tasks.metrics.rows import Array

_HITS = ("accuracy", "top5_accuracy", "agreement")


def smallest_drop(bench: Workbench) -> float | None:
    """The least limit on the drop that the confirm rows can show to be kept, in its unit.

    It is the upper end of the interval for a candidate that answers each row as the source model
    does. ``None`` where such a candidate cannot be judged.
    """
    try:
        return bench.drop_of_source("confirm", BEST_CONFIDENCE).high
    except (MetricError, SessionError):
        return None


def smallest_of_hits(metric: Metric, rows: int) -> float | None:
    """The same, in points, for a metric of which a row is hit or missed; ``None`` for others."""
    if metric.name not in _HITS:
        return None
    return 100 * paired_difference(np.zeros(rows), 1.0, BEST_CONFIDENCE).high


def judging_notes(bench: Workbench, smallest: float | None) -> list[str]:
    """How a candidate is judged where that is an assumption, and how fine.

    Args:
        bench: Of the study.
        smallest: What :func:`smallest_drop` returned.
    """
    notes = bench.metric_reasons
    if smallest is not None:
        rows = bench.prepared.task.splits.rows["confirm"]
        notes.append(
            f"The {rows:,} rows to confirm on can show drops from {number(smallest, 2)} "
            f"{bench.drop_unit} at best: that a smaller limit is kept cannot be shown."
        )
    return notes


def judging_warnings(bench: Workbench, smallest: float | None) -> list[str]:
    """What makes the outcome worth little.

    Args:
        bench: Of the study.
        smallest: What :func:`smallest_drop` returned.
    """
    labels = bench.prepared.task.splits.labels_of("search")
    value = bench.source_values["quality"]
    found = [] if labels is None else chance_warnings(bench.metric, value, labels)
    limit = bench.prepared.constraints.max_accuracy_drop
    if limit is not None and smallest is not None and smallest > limit:
        rows = bench.prepared.task.splits.rows["confirm"]
        found.append(too_few_rows(rows, limit, smallest, bench.drop_unit))
    return found


def too_few_rows(rows: int, limit: float, smallest: float, unit: str = "points") -> str:
    """That rows are too few to show that a limit on the drop is kept."""
    needed = int(rows * smallest / limit)
    return (
        f"TOO FEW ROWS: on {rows:,} rows to confirm on, no candidate can be shown to lose at most "
        f"{limit:g} {unit}; the least that they can show is {number(smallest, 2)}. Give about "
        f"{needed:,} or more, or allow a greater drop."
    )


def chance_warnings(metric: Metric, value: float, labels: Array) -> list[str]:
    """That the source model is no better than one that does not look at its inputs, if so.

    A user's function has a scale of its own, such as a log-likelihood, of which nothing is known.

    Args:
        metric: What quality means.
        value: The source model's.
        labels: ``[N, ...]``.
    """
    chance = metric.chance(labels)
    if chance is None:
        named = not isinstance(metric, FunctionMetric)
        useless = named and metric.maximize and value <= 0
        reached = "nothing"
    else:
        # Two standard errors of a share; r2 has none, as it compares with the mean itself.
        error = 2 * max(chance * (1 - chance), 0.0) ** 0.5 / len(labels) ** 0.5
        useless = value <= chance + error if metric.maximize else value >= chance
        reached = f"{number(chance, 3)}, which needs no look at the inputs"
    if not useless:
        return []
    text = (
        f"THE SOURCE MODEL IS NO BETTER THAN CHANCE: its {metric.name} is {number(value, 3)}, "
        f"against {reached}. Check that labels, their order and the preprocessing are those of its "
        "training, and that task.quality.output is the output to judge: what keeps this quality "
        "may have lost everything."
    )
    return [text]
