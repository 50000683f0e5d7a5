"""What stands beside the source model in one glance: the winner, and the best of the defaults."""

from dataclasses import dataclass

from hamerspace.constraints import tradeoff
from hamerspace.outcome.trial import Trial
from hamerspace.report.pareto import losses, pareto_front
from hamerspace.report.run_data import RunData, Values


@dataclass(frozen=True)
class Compared:
    """A candidate beside the source model.

    Attributes:
        role: ``winner``, ``best so far``, ``nearest``, or the tool whose default it is.
        label: Short name of the recipe.
        values: Its measurements, on the confirm split where it was confirmed.
        source: Those of the source model beside which they stand.
    """

    role: str
    label: str
    values: Values
    source: Values


def compared(run: RunData) -> tuple[Compared, ...]:
    """The candidate that a run came to, then the best single-tool default where it is another.

    Without a winner the first is the member of the front that would be chosen by what is known, or
    the nearest to the limits.
    """
    chosen = _chosen(run)
    default = _default(run)
    if chosen is None:
        return () if default is None else (default[1],)
    number, first = chosen
    if default is None or _recipe(run, default[0]) == _recipe(run, number):
        return (first,)
    return first, default[1]


def _chosen(run: RunData) -> tuple[int, Compared] | None:
    if run.winner is not None:
        return run.winner.number, _confirmed_or_not(run, run.winner.number, "winner")
    front = pareto_front(run)
    if front and not run.confirmed:
        best = min(front, key=lambda trial: _cost(run, trial))
        return best.number, _confirmed_or_not(run, best.number, "best so far")
    if run.nearest:
        number = run.nearest[0].number
        return number, _confirmed_or_not(run, number, "nearest")
    return None


def _default(run: RunData) -> tuple[int, Compared] | None:
    again = {c.number for c in run.confirmed}
    defaults = [t for t in run.trials if t.default_of and t.values.get("latency_ms")]
    if not defaults:
        return None
    best = min(
        defaults, key=lambda t: (not t.feasible, t.number not in again, _cost(run, t), t.number)
    )
    return best.number, _confirmed_or_not(run, best.number, f"{best.default_of} default")


def _confirmed_or_not(run: RunData, number: int, role: str) -> Compared:
    again = next((c for c in run.confirmed if c.number == number), None)
    if again is not None:
        source = run.source.confirm_values or run.source.values
        return Compared(role, run.labels[number], again.measurement.values(), source)
    trial = next(t for t in run.trials if t.number == number)
    return Compared(role, trial.label, trial.values, run.source.values)


def _recipe(run: RunData, number: int) -> str | None:
    return next((t.recipe_id for t in run.trials if t.number == number), None)


def _cost(run: RunData, trial: Trial) -> float:
    """As the winner is chosen, where every figure is known."""
    found = losses(run, trial.values)
    by_objective = dict(zip(run.objectives, found or (), strict=False))
    drop = by_objective.pop("quality", 0.0)
    return tradeoff(by_objective.values(), drop, run.constraints.get("max_accuracy_drop"))
