"""The Pareto front: latency against the drop in quality, size as the area of the marks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from hamerspace import _numbers
from hamerspace.outcome.trial import Trial
from hamerspace.report.figures import style
from hamerspace.report.pareto import pareto_front, staircase
from hamerspace.report.run_data import RunData, Values

_LEAST_PX, _MOST_PX, _UNKNOWN_PX = 9.0, 30.0, 12.0


@dataclass(frozen=True)
class _Frame:
    """Bounds of the picture, in data units."""

    left_ms: float
    right_ms: float
    bottom: float
    top: float
    log: bool

    def shown(self, drop: float) -> float:
        """Where a drop is drawn: at the upper edge where it lies beyond."""
        return min(drop, self.top - 0.03 * (self.top - self.bottom))


def pareto_figure(run: RunData) -> go.Figure:
    """Draw latency (ms) against the drop of quality; nearer to the lower left is better.

    Colour and shape tell the backend, area the size in MB. Members of the front over all
    objectives are ringed; the dotted line is the front of the two axes alone. Candidates that
    miss a limit are grey, and drawn as arrows at the upper edge where their drop would squash
    the picture. Limits are dashed lines.
    """
    points = [t for t in run.trials if _drawable(t.values) and t.ended_at != "reused"]
    if not points:
        return style.empty_figure("No trial came as far as both latency and quality.")
    frame = _frame(run, points)
    figure = style.base_figure(480)
    _add_infeasible(figure, run, frame, [t for t in points if not t.feasible])
    feasible = [t for t in points if t.feasible]
    _add_staircase(figure, feasible)
    _add_feasible(figure, run, feasible)
    _add_source(figure, run, frame)
    _add_winner(figure, run, frame)
    _add_limits(figure, run, frame)
    _set_axes(figure, run, frame)
    return figure


def _drawable(values: Values) -> bool:
    return bool(values.get("latency_ms")) and values.get("drop_points") is not None


def _x(values: Values) -> float:
    return values["latency_ms"] or 0.0


def _y(values: Values) -> float:
    return values["drop_points"] or 0.0


def _frame(run: RunData, points: Sequence[Trial]) -> _Frame:
    xs = [_x(t.values) for t in points]
    source_ms = run.source.values.get("latency_ms")
    if source_ms:
        xs.append(source_ms)
    limit_ms = run.constraints.get("max_latency_ms")
    if limit_ms and min(xs) / 3 < limit_ms < 3 * max(xs):
        xs.append(limit_ms)
    log = style.spans_decades(xs)
    pad = (max(xs) / min(xs)) ** 0.08 if log else 0.0
    gap = 0.08 * (max(xs) - min(xs)) or 0.1 * max(xs)
    left, right = (min(xs) / pad, max(xs) * pad) if log else (min(xs) - gap, max(xs) + gap)
    ys = [_y(t.values) for t in points if t.feasible] or [min(_y(t.values) for t in points)]
    limit = run.constraints.get("max_accuracy_drop", 0.0)
    bottom, top = min(0.0, *ys), max(limit * 1.5, *ys, 0.5)
    margin = 0.1 * (top - bottom)
    return _Frame(left, right, bottom - margin, top + margin, log)


def _diameters(run: RunData, trials: Sequence[Trial]) -> list[float]:
    sizes = [t.values.get("size_mb") for t in run.trials if _drawable(t.values)]
    largest = max((size for size in sizes if size), default=0.0)
    return [_diameter(t.values.get("size_mb"), largest) for t in trials]


def _diameter(size_mb: float | None, largest_mb: float) -> float:
    if not size_mb or not largest_mb:
        return _UNKNOWN_PX
    return max(_LEAST_PX, _MOST_PX * math.sqrt(size_mb / largest_mb))


def _add_infeasible(
    figure: go.Figure, run: RunData, frame: _Frame, trials: Sequence[Trial]
) -> None:
    if not trials:
        return
    beyond = [_y(t.values) > frame.top for t in trials]
    figure.add_scatter(
        x=[_x(t.values) for t in trials],
        y=[frame.shown(_y(t.values)) for t in trials],
        mode="markers",
        name="misses a limit",
        marker={
            "color": "rgba(128, 138, 155, 0.55)",
            "symbol": ["arrow-up" if far else "x-thin" for far in beyond],
            "size": 9,
            "line": {"width": 1.6, "color": "rgba(128, 138, 155, 0.75)"},
        },
        hovertext=[style.trial_hover(run, t) for t in trials],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _add_staircase(figure: go.Figure, trials: Sequence[Trial]) -> None:
    steps = staircase((_x(t.values), _y(t.values)) for t in trials)
    if len(steps) > 1:
        figure.add_scatter(
            x=[x for x, _ in steps],
            y=[y for _, y in steps],
            mode="lines",
            line={"shape": "hv", "dash": "dot", "width": 1.5, "color": style.FAINT},
            hoverinfo="skip",
            showlegend=False,
        )


def _add_feasible(figure: go.Figure, run: RunData, trials: Sequence[Trial]) -> None:
    front = {t.number for t in pareto_front(run)}
    for backend, (colour, symbol) in style.backend_styles(run.backends).items():
        # Small marks last, so that a large one never hides them.
        mine = sorted(
            (t for t in trials if t.backend == backend),
            key=lambda t: -(t.values.get("size_mb") or 0.0),
        )
        if not mine:
            continue
        ringed = [t.number in front for t in mine]
        figure.add_scatter(
            x=[_x(t.values) for t in mine],
            y=[_y(t.values) for t in mine],
            mode="markers",
            name=backend,
            marker={
                "color": colour,
                "symbol": symbol,
                "size": _diameters(run, mine),
                "opacity": [0.95 if on else 0.45 for on in ringed],
                "line": {"width": [2.0 if on else 0.0 for on in ringed], "color": style.INK},
            },
            hovertext=[
                style.trial_hover(run, t, "on the Pareto front" if on else "")
                for t, on in zip(mine, ringed, strict=True)
            ],
            hovertemplate="%{hovertext}<extra></extra>",
        )


def _add_source(figure: go.Figure, run: RunData, frame: _Frame) -> None:
    values = {"drop_points": 0.0, **run.source.values}
    if _drawable(values):
        figure.add_scatter(
            x=[_x(values)],
            y=[frame.shown(_y(values))],
            mode="markers",
            name="source model",
            marker={
                "color": style.INK,
                "symbol": "circle-cross-open",
                "size": 15,
                "line": {"width": 2, "color": style.INK},
            },
            hovertext=[style.hover(f"{run.source.label} (source)", values, run.metric)],
            hovertemplate="%{hovertext}<extra></extra>",
        )


def _add_winner(figure: go.Figure, run: RunData, frame: _Frame) -> None:
    winner = run.winner
    if winner is None:
        return
    trial = run.trial(winner.number)
    confirmed = winner.measurement.values()
    # The star stands on the trial, whose figures compare with those of the other trials.
    values = trial.values if trial is not None and _drawable(trial.values) else confirmed
    if not _drawable(values):
        return
    heading = f"winner: {run.labels[winner.number]} (confirmed values)"
    extra = [f"{_numbers.limit_title(n)}: {fate}" for n, fate in winner.verdicts.items()]
    extra += ["", *style.parameter_lines(trial.parameters)] if trial is not None else []
    figure.add_scatter(
        x=[_x(values)],
        y=[frame.shown(_y(values))],
        mode="markers",
        name="winner",
        marker={
            "color": "#f6c343",
            "symbol": "star",
            "size": 19,
            "line": {"width": 1.5, "color": "#5d4a10"},
        },
        hovertext=[style.hover(heading, confirmed, run.metric, extra)],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _add_limits(figure: go.Figure, run: RunData, frame: _Frame) -> None:
    line = {"color": style.LIMIT, "width": 1.5, "dash": "dash"}
    font = {"color": style.LIMIT, "size": 12}
    latency_ms = run.constraints.get("max_latency_ms")
    if latency_ms and frame.left_ms < latency_ms < frame.right_ms:
        figure.add_vline(x=latency_ms, line=line)
        figure.add_annotation(
            text=f"at most {_numbers.with_unit('latency_ms', latency_ms, run.metric)}",
            x=math.log10(latency_ms) if frame.log else latency_ms,
            y=0,
            yref="paper",
            yanchor="bottom",
            xanchor="right",
            textangle=-90,
            showarrow=False,
            font=font,
        )
    drop = run.constraints.get("max_accuracy_drop")
    if drop:
        limit = _numbers.limit_value("max_accuracy_drop", drop, run.metric)
        figure.add_hline(y=drop, line=line)
        figure.add_annotation(
            text=f"drop at most {limit}",
            x=1,
            xref="paper",
            xanchor="right",
            y=drop,
            yanchor="bottom",
            showarrow=False,
            font=font,
        )


def _set_axes(figure: go.Figure, run: RunData, frame: _Frame) -> None:
    figure.update_xaxes(title_text=_numbers.axis_title("latency_ms", run.metric))
    figure.update_yaxes(
        title_text=_numbers.axis_title("drop_points", run.metric), range=[frame.bottom, frame.top]
    )
    if frame.log:
        values, texts = style.log_ticks(frame.left_ms, frame.right_ms)
        figure.update_xaxes(
            type="log",
            range=[math.log10(frame.left_ms), math.log10(frame.right_ms)],
            tickvals=values,
            ticktext=texts,
        )
    else:
        figure.update_xaxes(range=[frame.left_ms, frame.right_ms])
