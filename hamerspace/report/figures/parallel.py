"""Parallel coordinates of the feasible trials: which choices lead to which figures."""

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from hamerspace import _numbers
from hamerspace.outcome.trial import Trial
from hamerspace.quantities import BY_NAME
from hamerspace.recipe import Scalar
from hamerspace.report.figures import style
from hamerspace.report.pareto import pareto_front
from hamerspace.report.run_data import RunData

_MOST_CHOICES = 4
_NO_CHOICE = "-"


def parallel_figure(run: RunData) -> go.Figure:
    """Draw each feasible trial as a line across its choices and its objectives.

    Shown are the backend, the choices that most trials have and that tell them apart (four at
    most), the objectives, all but quality on log scales where they span decades, and whether the
    trial is on the Pareto front. The front is selected at first: other trials are pale.
    """
    trials = [t for t in run.trials if t.feasible and t.ended_at != "reused"]
    if len(trials) < 2:
        return style.empty_figure("Fewer than two trials keep all limits.")
    dimensions = [_categories("backend", [t.backend for t in trials])]
    dimensions += [_choice(name, values) for name, values in _telling(trials).items()]
    for objective in run.objectives:
        key = BY_NAME[objective].compared.key
        values = [t.values.get(key) for t in trials]
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            dimensions.append(
                _numeric(_numbers.axis_title(key, run.metric), known, log=key != "drop_points")
            )
    front = {t.number for t in pareto_front(run)}
    on_front = _categories("on the front", ["yes" if t.number in front else "no" for t in trials])
    if len(on_front["tickvals"]) > 1:
        on_front["constraintrange"] = [0.9, 1.1]
    dimensions.append(on_front)
    figure = style.base_figure(420)
    figure.update_layout(margin={"l": 100, "r": 70, "t": 64, "b": 20})
    styles = style.backend_styles(run.backends)
    names = list(styles)
    count = len(names)
    scale = [
        [edge / count, styles[name][0]]
        for position, name in enumerate(names)
        for edge in (position, position + 1)
    ]
    figure.add_parcoords(
        dimensions=dimensions,
        line={
            "color": [names.index(t.backend) for t in trials],
            "colorscale": scale,
            "cmin": -0.5,
            "cmax": count - 0.5,
        },
        labelangle=-12,
        labelfont={"color": style.INK, "size": 12},
        tickfont={"color": style.INK, "size": 11},
        rangefont={"color": "rgba(0,0,0,0)", "size": 1},
        unselected={"line": {"color": "rgba(128,138,155,0.28)"}},
    )
    return figure


def _telling(trials: Sequence[Trial]) -> dict[str, list[Scalar | None]]:
    """The choices that tell trials apart, each with a value or ``None`` for every trial.

    A setting of a backend goes by its name alone, so that runtimes share an axis for what they
    have in common. A choice that tells apart the same trials as one before it is left out.
    """
    rows = [_settings(trial) for trial in trials]
    values = {
        name: [row.get(name) for row in rows]
        for name in sorted({name for row in rows for name in row} - {"backend"})
    }
    chosen: dict[str, list[Scalar | None]] = {}
    seen = {_partition([trial.backend for trial in trials]), (0,) * len(trials)}
    for name in sorted(values, key=lambda n: (values[n].count(None), n)):
        partition = _partition(values[name])
        if partition not in seen and len(chosen) < _MOST_CHOICES:
            chosen[name] = values[name]
            seen.add(partition)
    return chosen


def _settings(trial: Trial) -> dict[str, Scalar]:
    own = f"{trial.backend}."
    chosen = trial.choices or trial.parameters
    return {name.removeprefix(own): value for name, value in chosen.items()}


def _partition(values: Sequence[Scalar | None]) -> tuple[int, ...]:
    """Which of the values are equal, whatever they are."""
    return tuple(values.index(value) for value in values)


def _choice(name: str, values: Sequence[Scalar | None]) -> dict[str, Any]:
    numbers = [
        float(value)
        for value in values
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    if len(numbers) == len(values):
        return _numeric(name, numbers)
    return _categories(name, [_NO_CHOICE if value is None else str(value) for value in values])


def _categories(label: str, values: Sequence[str]) -> dict[str, Any]:
    names = sorted(set(values))
    return {
        "label": style.escape(label),
        "values": [names.index(value) for value in values],
        "tickvals": list(range(len(names))),
        "ticktext": [style.escape(name) for name in names],
        # A single category would have no extent.
        "range": [-0.2, max(len(names) - 0.8, 0.2)],
    }


def _numeric(label: str, values: Sequence[float], *, log: bool = False) -> dict[str, Any]:
    low, high = min(values), max(values)
    dimension: dict[str, Any] = {"label": style.escape(label), "values": list(values)}
    if log and style.spans_decades(values):
        low, high = low / 1.05, high * 1.05
        ticks, texts = style.log_ticks(low, high)
        dimension |= {
            "values": [math.log10(value) for value in values],
            "range": [math.log10(low), math.log10(high)],
            "tickvals": [math.log10(tick) for tick in ticks],
            "ticktext": texts,
        }
    elif low == high:
        half = abs(low) * 0.1 or 0.5
        dimension["range"] = [low - half, high + half]
    return dimension
