"""Parallel coordinates of the feasible trials: which choices lead to which figures."""

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from hamerspace.recipe import Scalar
from hamerspace.report import formats
from hamerspace.report.figures import style
from hamerspace.report.run_data import RunData, TrialRecord

_MOST_PARAMETERS = 4
_KEYS = {
    "quality": "drop_points",
    "latency": "latency_ms",
    "size": "size_mb",
    "memory": "memory_mb",
    "throughput": "throughput_per_s",
    "download": "download_mb",
}


def parallel_figure(run: RunData) -> go.Figure:
    """Draw each feasible trial as a line across its choices and its objectives.

    Shown are the backend, the parameters that most trials have and that vary (four at most), then
    the objectives; all but quality on log scales where they span decades.
    """
    trials = [t for t in run.trials if t.feasible and t.ended_at != "reused"]
    if len(trials) < 2:
        return style.empty_figure("Fewer than two trials keep all limits.")
    dimensions = [_categories("backend", [t.backend for t in trials])]
    dimensions += [_parameter(name, trials) for name in _telling(trials)]
    for objective in run.objectives:
        key = _KEYS[objective]
        values = [t.values.get(key) for t in trials]
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            dimensions.append(
                _numbers(formats.axis_title(key, run.metric), known, log=key != "drop_points")
            )
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
        unselected={"line": {"color": "rgba(128,138,155,0.25)"}},
    )
    return figure


def _telling(trials: Sequence[TrialRecord]) -> list[str]:
    present: dict[str, list[Scalar]] = {}
    for trial in trials:
        for name, value in trial.parameters.items():
            present.setdefault(name, []).append(value)
    varying = [
        name
        for name, values in present.items()
        if name != "backend" and (len(set(values)) > 1 or len(values) < len(trials))
    ]
    return sorted(varying, key=lambda name: (-len(present[name]), name))[:_MOST_PARAMETERS]


def _parameter(name: str, trials: Sequence[TrialRecord]) -> dict[str, Any]:
    values = [trial.parameters.get(name) for trial in trials]
    numbers = [
        float(value)
        for value in values
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    if len(numbers) == len(values):
        return _numbers(name, numbers)
    return _categories(name, ["(inert)" if value is None else str(value) for value in values])


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


def _numbers(label: str, values: Sequence[float], *, log: bool = False) -> dict[str, Any]:
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
