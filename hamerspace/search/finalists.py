"""Those that may win, timed once more in several pairs of fresh processes.

A model's latency differs from process to process, by where its memory lies and so on, more than
the blocks of one process tell. So the process is the unit, and the source model is loaded anew
beside each.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Protocol

from hamerspace.errors import SessionError
from hamerspace.measure.latency import over_processes
from hamerspace.measure.measurement import Gate, Latency
from hamerspace.measure.statistics import Interval, process_ratios
from hamerspace.recipe import Recipe
from hamerspace.search.confirm import Confirmed, beats_source, choose, cost, verdicts_of
from hamerspace.search.goal import Goal
from hamerspace.search.record import Record


class ProcessBench(Protocol):
    """Times a recipe in processes of its own."""

    def time_afresh(self, recipe: Recipe, pair: int) -> Latency:
        """Latency in a process started for this, beside a source model started for this.

        Raises:
            SessionError: One of them cannot be loaded or run.
        """
        ...


_PAIRS = (5, 4, 3, 3)
"""Pairs of processes for one, two and more finalists, who share what they tell of the spread."""
_MOST_IN_ALL = 6


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
        error: Chance that the latency of any of them lies outside its interval.

    Returns:
        All that were confirmed, with the latency of several processes where it was measured; and
        the best of them, or ``None`` where all miss a limit.
    """
    current = {c.number: c for c in confirmed}
    found: dict[int, list[Latency]] = {}
    while len(found) < _MOST_IN_ALL:
        leader = leading(current.values(), goal)
        if leader is None or leader.number in found:
            return list(current.values()), leader
        group = [leader] if found else _contenders(leader, current.values(), goal)
        if not group:
            return list(current.values()), leader
        for one in group:
            try:
                found[one.number] = [
                    bench.time_afresh(records[one.number].recipe, pair)
                    for pair in range(_PAIRS[len(group) - 1])
                ]
            except SessionError as failure:
                found[one.number] = []
                failed = replace(
                    one.measurement, ended_at=Gate.LATENCY, reason=str(failure), failed=True
                )
                current[one.number] = replace(one, measurement=failed)
        timed = [number for number, pairs in found.items() if pairs]
        ratios = process_ratios(
            [[latency.ratio for latency in found[number]] for number in timed],
            1 - error / len(found),
        )
        for number, ratio in zip(timed, ratios, strict=True):
            latency = over_processes(found[number], ratio)
            measurement = replace(current[number].measurement, latency=latency)
            verdicts = verdicts_of(measurement, goal.constraints)
            current[number] = replace(current[number], measurement=measurement, verdicts=verdicts)
    return list(current.values()), leading([current[number] for number in found], goal)


def beats(candidate: Confirmed, goal: Goal) -> bool:
    """Whether a candidate is worth shipping in place of the source model."""
    return beats_source(candidate.measurement, goal.objectives, goal.constraints, goal.source)


def leading(confirmed: Iterable[Confirmed], goal: Goal) -> Confirmed | None:
    """The best that beats the source model; where none does, the best that misses no limit."""
    usable = list(confirmed)
    better = [c for c in usable if beats(c, goal)]
    found = choose(better, goal.objectives, goal.constraints, goal.source)
    return found or choose(usable, goal.objectives, goal.constraints, goal.source)


def _contenders(leader: Confirmed, among: Iterable[Confirmed], goal: Goal) -> list[Confirmed]:
    """The leader and those that may be better; none where no luck makes it beat the source."""
    if not beats(leader, goal) and _cost_at(leader, "low", goal) >= 0:
        return []
    bound = _cost_at(leader, "high", goal)
    others = [
        c
        for c in among
        if c is not leader and c.rank <= leader.rank and _cost_at(c, "low", goal) < bound
    ]
    others.sort(key=lambda c: _cost_at(c, "estimate", goal))
    return [leader, *others][: len(_PAIRS)]


def _cost_at(candidate: Confirmed, end: str, goal: Goal) -> float:
    """The cost with the latency at an end of its interval."""
    measurement, latency = candidate.measurement, candidate.measurement.latency
    if latency is not None:
        ms = max(getattr(latency.latency_ms, end), 1e-9)
        throughput = latency.throughput_per_s * latency.latency_ms.estimate / ms
        latency = replace(latency, latency_ms=Interval(ms, ms, ms), throughput_per_s=throughput)
        measurement = replace(measurement, latency=latency)
    return cost(measurement, goal.objectives, goal.constraints, goal.source)
