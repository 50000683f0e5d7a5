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
    chosen, default = _chosen(run), _default(run)
    if chosen and default and default[0].recipe_id == chosen[0].recipe_id:
        default = None
    return tuple(_confirmed_or_not(run, *one) for one in (chosen, default) if one is not None)


def _chosen(run: RunData) -> tuple[Trial, str] | None:
    if run.winner is not None:
        trial, role = run.trial(run.chosen), "winner"
    elif not run.confirmed and (front := pareto_front(run)):
        trial, role = min(front, key=lambda trial: _cost(run, trial)), "best so far"
    elif run.nearest:
        trial, role = run.trial(run.nearest[0].number), "nearest"
    else:
        return None
    return None if trial is None else (trial, role)


def _default(run: RunData) -> tuple[Trial, str] | None:
    again = {c.number for c in run.confirmed}
    defaults = [t for t in run.trials if t.default_of and t.values.get("latency_ms")]
    if not defaults:
        return None
    best = min(
        defaults, key=lambda t: (not t.feasible, t.number not in again, _cost(run, t), t.number)
    )
    return best, f"{best.default_of} default"


def _confirmed_or_not(run: RunData, trial: Trial, role: str) -> Compared:
    again = run.again(trial.number)
    if again is not None:
        return Compared(role, trial.label, again.measurement.values(), run.source.latest)
    return Compared(role, trial.label, trial.values, run.source.values)


def _cost(run: RunData, trial: Trial) -> float:
    """As the winner is chosen, where every figure is known."""
    found = losses(run, trial.values)
    by_objective = dict(zip(run.objectives, found or (), strict=False))
    drop = by_objective.pop("quality", 0.0)
    return tradeoff(by_objective.values(), drop, run.constraints.get("max_accuracy_drop"))
