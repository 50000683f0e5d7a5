"""The end of a search: confirm the front and choose the winner."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from hamerspace.measure.statistics import CONFIDENCE
from hamerspace.outcome.confirmed import Confirmed, verdicts_of
from hamerspace.outcome.front import front
from hamerspace.outcome.measurement import Measurement
from hamerspace.outcome.record import Record
from hamerspace.quantities import BY_LIMIT, Objective
from hamerspace.recipe import Recipe
from hamerspace.search.confirm import beats_source, choose, cost
from hamerspace.search.finalists import ProcessBench, time_finalists
from hamerspace.search.goal import Goal


class Bench(ProcessBench, Protocol):
    """Builds and measures."""

    def confirm(self, recipe: Recipe, confidence: float) -> Measurement:
        """Measure a recipe in full on the confirm split; the intervals have this confidence."""
        ...


_MOST_AT_ONCE = 12
_MOST = 24
# What promises less over a winner than this, in halvings, is not worth another confirmation.
_WORTH = 0.25
# Of the error that is left, what those that are confirmed next share.
_SHARE = 0.8
# Of the whole error, what is kept for the latencies that several processes decide.
_FINAL_SHARE = 0.4
# Of latency and of the drop.
_INTERVALS = 2
BEST_CONFIDENCE = 1 - _SHARE * (1 - CONFIDENCE) * (1 - _FINAL_SHARE) / _INTERVALS
"""Of the intervals where one candidate alone is confirmed; with more of them it is higher."""


@dataclass(frozen=True)
class Conclusion:
    """What confirmation came to.

    Attributes:
        confirmed: All that were measured again, in the order of their trials.
        winner: What was chosen; ``None`` where nothing keeps the limits or beats the source model.
        nearest: Without a winner: the best that keeps the limits and does not beat the source.
    """

    confirmed: list[Confirmed]
    winner: Confirmed | None = None
    nearest: Confirmed | None = None


def confirm_front(bench: Bench, records: Mapping[int, Record], goal: Goal) -> Conclusion:
    """Measure the front again on the confirm split, and choose.

    The winner is the best of those, so their intervals have to hold together: each has the
    confidence with which, in 95 % of searches, all of them do (Bonferroni's inequality).

    The best of the tools' own defaults is confirmed too, so that the winner is never worse than
    it for having been unlucky in the search. Nor is it worse than the source model: see
    :func:`~hamerspace.search.confirm.beats_source`.

    Where members of the front turn out to miss a limit, or not to be shown to keep it, on data
    that the search never saw, they make way for those that they dominated: until something can be
    shipped and a dozen were looked at for something better, or two dozen for anything at all.

    Args:
        bench: Builds and measures.
        records: The finished trials.
        goal: What to improve and keep.
    """
    expected = {n: cost(r.measurement, goal) for n, r in records.items() if r.feasible}
    left, confirmed = {n: records[n] for n in expected}, list[Confirmed]()
    leader: Confirmed | None = None
    error = (1 - CONFIDENCE) * (1 - _FINAL_SHARE)
    asked = {*goal.objectives, *(BY_LIMIT[name].name for name in goal.constraints.limits())}
    more = int(Objective.P90_LATENCY in asked)
    while True:
        able = left
        room = _MOST - len(confirmed)
        if leader is not None and leader.rank == 0:
            # Nor is it worth looking for what is not expected to beat the source model.
            bound = min(cost(leader.measurement, goal) - _WORTH, 0.0)
            able = {n: r for n, r in left.items() if expected[n] < bound}
            room = _MOST_AT_ONCE - len(confirmed)
        chosen = sorted(front(able, goal.maximize), key=expected.__getitem__)
        chosen = chosen[: max(min(room, _MOST_AT_ONCE), 0)]
        if not chosen:
            break
        if not confirmed:
            known = {records[n].recipe.id for n in chosen}
            defaults = [n for n, r in left.items() if r.default_of and r.recipe.id not in known]
            chosen += sorted(defaults, key=expected.__getitem__)[:1]
        confidence = 1 - _SHARE * error / ((_INTERVALS + more) * len(chosen))
        error *= 1 - _SHARE
        for number in chosen:
            recipe = records[number].recipe
            measurement = bench.confirm(recipe, confidence)
            verdicts = verdicts_of(measurement, goal.constraints)
            confirmed.append(Confirmed(number, recipe.id, measurement, verdicts))
        gone = {c.recipe_id for c in confirmed}
        left = {n: r for n, r in left.items() if r.recipe.id not in gone}
        leader = choose(confirmed, goal)
    reserved = _FINAL_SHARE * (1 - CONFIDENCE)
    confirmed, best = time_finalists(bench, records, confirmed, goal, reserved)
    confirmed.sort(key=lambda c: c.number)
    won = best is not None and beats_source(best.measurement, goal)
    return Conclusion(confirmed, best if won else None, None if won else best)
