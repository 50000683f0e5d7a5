"""What the figures share: colours, layout, ticks, and the text of a hover."""

import html
import math
from collections.abc import Iterable, Mapping
from itertools import cycle

import plotly.graph_objects as go

from hamerspace import _numbers
from hamerspace.outcome.trial import Trial
from hamerspace.quantities import QUANTITIES, Metric
from hamerspace.recipe import Scalar
from hamerspace.report.run_data import RunData, Values

INK = "#7b8494"
"""Of fonts and source marks: contrast of at least 3.7 on white and 4.5 on the dark page."""
GRID = "rgba(128, 138, 155, 0.22)"
FAINT = "rgba(128, 138, 155, 0.75)"
LIMIT = "#d64545"

_AXIS = {
    "gridcolor": GRID,
    "zeroline": False,
    "linecolor": GRID,
    "ticks": "outside",
    "tickcolor": GRID,
    "automargin": True,
    "title": {"standoff": 10},
}
_BACKENDS = {
    "onnxruntime": ("#2f80d8", "circle"),
    "openvino": ("#e8871e", "square"),
    "pytorch": ("#c94f8f", "diamond"),
    "litert": ("#1fa187", "triangle-up"),
    "tvm": ("#8a6fd1", "pentagon"),
}
_SPARE = (
    ("#8f9e2a", "hexagon"),
    ("#3fa7bf", "triangle-left"),
    ("#a8705a", "triangle-right"),
    ("#6f7fd8", "hexagram"),
)


def backend_styles(backends: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Backend to (colour, marker symbol): fixed for the known ones, spare ones by name."""
    spare = cycle(_SPARE)
    return {name: _BACKENDS.get(name) or next(spare) for name in sorted(backends)}


def base_figure(height_px: int) -> go.Figure:
    """A figure with the common layout: transparent, legend below, room for no title."""
    figure = go.Figure()
    figure.update_layout(
        template="none",
        height=height_px,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": INK, "size": 13, "family": "system-ui, -apple-system, Segoe UI, sans-serif"},
        margin={"l": 8, "r": 12, "t": 24, "b": 8},
        xaxis=_AXIS,
        yaxis=_AXIS,
        legend={
            "orientation": "h",
            "yref": "container",
            "y": 0,
            "yanchor": "bottom",
            "x": 0,
            "itemsizing": "constant",
        },
        hoverlabel={"align": "left", "font": {"size": 12}},
        hovermode="closest",
        dragmode="zoom",
    )
    return figure


def dress_axes(figure: go.Figure) -> None:
    """Give every axis of a figure with several panels the common look."""
    figure.update_xaxes(_AXIS)
    figure.update_yaxes(_AXIS)


def empty_figure(text: str) -> go.Figure:
    """A low figure that says why there is nothing to see."""
    figure = base_figure(120)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    figure.add_annotation(
        text=html.escape(text), showarrow=False, xref="paper", yref="paper", x=0.5, y=0.5
    )
    return figure


def log_ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """Ticks at 1, 2 and 5 of each decade within the bounds; only at 1 across many decades."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1.0, 2.0, 5.0) if math.log10(high / low) < 3 else (1.0,)
    values = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    kept = [value for value in values if low <= value <= high]
    return kept, [_numbers.number(value) for value in kept]


def spans_decades(values: Iterable[float]) -> bool:
    """Whether positive values differ by a factor of 8 or more, so that a log axis helps."""
    known = list(values)
    return bool(known) and min(known) > 0 and max(known) / min(known) >= 8


def escape(text: str) -> str:
    """``text`` for places where plotly draws a subset of HTML."""
    return html.escape(text)


def hover(heading: str, values: Values, metric: Metric, extra: Iterable[str] = ()) -> str:
    """Hover text in the subset of HTML that plotly draws: heading, all values, then ``extra``."""
    lines = [f"<b>{html.escape(heading)}</b>"]
    for key in (key for q in QUANTITIES for key in (q.key, f"{q.name}_ratio")):
        if values.get(key) is None:
            continue
        name = metric.name if key == "quality" else _numbers.title(key)
        text = _numbers.figure(key, values, metric)
        lines.append(f"{html.escape(name)}: {html.escape(text)}")
    return "<br>".join([*lines, *(html.escape(line) for line in extra)])


def shortened(text: str, most: int = 28) -> str:
    """``text``, its middle left out where it is longer than ``most`` characters."""
    if len(text) <= most:
        return text
    tail = (most - 1) * 2 // 3
    return f"{text[: most - 1 - tail]}\u2026{text[-tail:]}"


def trial_hover(run: RunData, trial: Trial, note: str = "") -> str:
    """Hover text of a trial: its values, its fate and its parameters."""
    extra = [note] if note else []
    extra += [f"{trial.ended_at}: {trial.reason}" if trial.reason else trial.ended_at, ""]
    extra += parameter_lines(trial.parameters)
    return hover(f"{trial.label} (trial {trial.number})", trial.values, run.metric, extra)


def parameter_lines(parameters: Mapping[str, Scalar]) -> list[str]:
    """``name = value`` for each parameter."""
    return [f"{name} = {value}" for name, value in sorted(parameters.items())]
