"""Those that may win, timed once more in several pairs of fresh processes.

A model's latency differs from process to process, by where its memory lies and so on, more than
the blocks of one process tell. So the process is the unit, and the source model is loaded anew
beside each.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Protocol

from hamerspace.errors import SessionError, SourceSessionError
from hamerspace.measure.latency import timed_in_pairs
from hamerspace.outcome.confirmed import Confirmed, verdicts_of
from hamerspace.outcome.interval import Interval
from hamerspace.outcome.measurement import Gate, Latency
from hamerspace.outcome.record import Record
from hamerspace.quantities import BY_LIMIT, Objective
from hamerspace.recipe import Recipe
from hamerspace.search.confirm import beats_source, choose, cost
from hamerspace.search.goal import Goal

logger = logging.getLogger(__name__)


class ProcessBench(Protocol):
    """Times a recipe in processes of its own."""

    def time_afresh(self, recipe: Recipe, pair: int) -> Latency:
        """Latency in a process started for this, beside a source model started for this.

        Raises:
            SourceSessionError: The source model cannot be loaded or run.
            SessionError: The recipe cannot.
        """
        ...


_PAIRS = 5
_MOST_AT_FIRST = 4
_MOST_IN_ALL = 6
# Of the error that is left, what those that are timed next share. They are chosen before their
# pairs are run, so their intervals hold as often as they say whatever the earlier ones showed.
_SHARE = 0.75


def time_finalists(
    bench: ProcessBench,
    records: Mapping[int, Record],
    confirmed: Iterable[Confirmed],
    goal: Goal,
    error: float,
) -> tuple[list[Confirmed], Confirmed | None]:
    """Time the best, and those that its interval does not tell from it, until the best was timed.

    Args:
        bench: Times them.
        records: The finished trials.
        confirmed: What was measured on the confirm split.
        goal: What to improve and keep.
        error: Chance that a latency of any of them lies outside its interval.

    Returns:
        All that were confirmed, with the latency of several processes where it was measured; and
        the best of them, or ``None`` where all miss a limit.
    """
    current = {c.number: c for c in confirmed}
    timed = set[int]()
    intervals = _intervals(goal)
    while len(timed) < _MOST_IN_ALL:
        leader = leading(current.values(), goal)
        if leader is None or leader.number in timed:
            return list(current.values()), leader
        group = [leader] if timed else _contenders(leader, current.values(), goal)
        if not group:
            return list(current.values()), leader
        confidence = 1 - _SHARE * error / (intervals * len(group))
        error *= 1 - _SHARE
        for one in group:
            timed.add(one.number)
            time_pair = partial(bench.time_afresh, records[one.number].recipe)
            current[one.number] = _timed(one, time_pair, goal, confidence)
    return list(current.values()), leading([current[number] for number in timed], goal)


def _intervals(goal: Goal) -> int:
    """How many a pair of processes decides: the ratio of latencies, what else is improved or kept.

    A limit is on the ms, an objective compares by the ratio.
    """
    limits = sum(bool(BY_LIMIT[name].paired) for name in goal.constraints.limits())
    ratios = {Objective.LATENCY, *(o for o in goal.objectives if o.quantity.paired)}
    return limits + len(ratios)


def _timed(
    one: Confirmed, time_pair: Callable[[int], Latency], goal: Goal, confidence: float
) -> Confirmed:
    """What was confirmed, with the latency of several processes, or as failed in one of them."""
    try:
        measurement = timed_in_pairs(one.measurement, time_pair, _PAIRS, confidence)
    except SourceSessionError as failure:
        logger.warning(
            "trial %d keeps its latency in one process, as the source model failed beside it: %s",
            one.number,
            failure,
        )
        return one
    except SessionError as failure:
        reason = str(failure)
        failed = replace(one.measurement, ended_at=Gate.LATENCY, reason=reason, failed=True)
        return replace(one, measurement=failed)
    verdicts = verdicts_of(measurement, goal.constraints)
    return replace(one, measurement=measurement, verdicts=verdicts)


def leading(confirmed: Iterable[Confirmed], goal: Goal) -> Confirmed | None:
    """The best that beats the source model; where none does, the best that misses no limit."""
    usable = list(confirmed)
    better = (c for c in usable if beats_source(c.measurement, goal))
    return choose(better, goal) or choose(usable, goal)


def _contenders(leader: Confirmed, among: Iterable[Confirmed], goal: Goal) -> list[Confirmed]:
    """The leader and those that may be better; none where no luck makes it beat the source."""
    if not beats_source(leader.measurement, goal) and _cost_at(leader, "low", goal) >= 0:
        return []
    bound = _cost_at(leader, "high", goal)
    others = [
        c
        for c in among
        if c is not leader and c.rank <= leader.rank and _cost_at(c, "low", goal) < bound
    ]
    others.sort(key=lambda c: _cost_at(c, "estimate", goal))
    return [leader, *others][:_MOST_AT_FIRST]


def _cost_at(candidate: Confirmed, end: str, goal: Goal) -> float:
    """The cost with the latency at an end of its interval."""
    measurement, latency = candidate.measurement, candidate.measurement.latency
    if latency is not None:
        latency = replace(
            latency,
            ratio=_at(end, latency.ratio),
            p90_ratio=None if latency.p90_ratio is None else _at(end, latency.p90_ratio),
        )
        measurement = replace(measurement, latency=latency)
    return cost(measurement, goal)


def _at(end: str, interval: Interval) -> Interval:
    value = getattr(interval, end)
    return Interval(value, value, value)
