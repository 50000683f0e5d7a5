"""The end of a search: confirm the front and choose the winner."""

from collections.abc import Mapping
from typing import Protocol

from hamerspace.measure.measurement import Measurement
from hamerspace.measure.statistics import CONFIDENCE
from hamerspace.recipe import Recipe
from hamerspace.search.confirm import Confirmed, choose, cost, front, verdicts_of
from hamerspace.search.goal import Goal
from hamerspace.search.record import Record


class Bench(Protocol):
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


def confirm_front(
    bench: Bench, records: Mapping[int, Record], goal: Goal
) -> tuple[list[Confirmed], Confirmed | None]:
    """Measure the front again on the confirm split; return what was seen and the winner.

    The winner is the best of those, so their intervals have to hold together: each has the
    confidence with which, in 95 % of searches, all of them do (Bonferroni's inequality).

    The best of the tools' own defaults is confirmed too, so that the winner is never worse than
    it for having been unlucky in the search.

    Where members of the front turn out to miss a limit, or not to be shown to keep it, on data
    that the search never saw, they make way for those that they dominated: until something can be
    shipped and a dozen were looked at for something better, or two dozen for anything at all.

    Args:
        bench: Builds and measures.
        records: The finished trials.
        goal: What to improve and keep.
    """

    def costs(measurement: Measurement) -> float:
        return cost(measurement, goal.objectives, goal.constraints, goal.source)

    expected = {n: costs(r.measurement) for n, r in records.items() if r.feasible}
    left, confirmed = {n: records[n] for n in expected}, list[Confirmed]()
    winner: Confirmed | None = None
    error = 1 - CONFIDENCE
    while True:
        able = left
        room = _MOST - len(confirmed)
        if winner is not None and winner.rank == 0:
            bound = costs(winner.measurement) - _WORTH
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
        confidence = 1 - _SHARE * error / len(chosen)
        error *= 1 - _SHARE
        for number in chosen:
            recipe = records[number].recipe
            measurement = bench.confirm(recipe, confidence)
            verdicts = verdicts_of(measurement, goal.constraints)
            confirmed.append(Confirmed(number, recipe.id, measurement, verdicts))
        gone = {c.recipe_id for c in confirmed}
        left = {n: r for n, r in left.items() if r.recipe.id not in gone}
        winner = choose(confirmed, goal.objectives, goal.constraints, goal.source)
    return sorted(confirmed, key=lambda c: c.number), winner
