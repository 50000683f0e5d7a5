"""The end of a search: confirm the front and choose the winner."""

from collections.abc import Mapping

from hamerspace.search.confirm import Confirmed, choose, cost, front, verdicts_of
from hamerspace.search.loop import Goal
from hamerspace.search.record import Record
from hamerspace.search.workbench import Workbench

_MOST_AT_ONCE = 12
_MOST = 24


def confirm_front(
    bench: Workbench, records: Mapping[int, Record], goal: Goal
) -> tuple[list[Confirmed], Confirmed | None]:
    """Measure the front again on the confirm split; return what was seen and the winner.

    The best of the tools' own defaults is confirmed too, so that the winner is never worse than
    it for having been unlucky in the search.

    Args:
        bench: Builds and measures.
        records: The finished trials.
        goal: What to improve and keep.

    Where all of a front miss a limit on data that the search never saw, they make way for those
    that they dominated, until something can be shipped or two dozen were looked at.
    """

    def costs(number: int) -> float:
        measured = records[number].measurement
        return cost(measured, goal.objectives, goal.constraints, goal.source)

    left, confirmed = dict(records), list[Confirmed]()
    winner: Confirmed | None = None
    while winner is None and len(confirmed) < _MOST:
        numbers = front(left, goal.maximize)
        if not numbers:
            break
        numbers.sort(key=costs)
        chosen = numbers[:_MOST_AT_ONCE]
        able = [n for n, r in left.items() if r.default_of and r.feasible]
        chosen += [n for n in sorted(able, key=costs)[:1] if n not in chosen]
        for number in chosen:
            recipe = records[number].recipe
            measurement = bench.confirm(recipe)
            verdicts = verdicts_of(measurement, goal.constraints)
            confirmed.append(Confirmed(number, recipe.id, measurement, verdicts))
        gone = {c.recipe_id for c in confirmed}
        left = {n: r for n, r in left.items() if r.recipe.id not in gone}
        winner = choose(confirmed, goal.objectives, goal.constraints, goal.source)
    return sorted(confirmed, key=lambda c: c.number), winner
