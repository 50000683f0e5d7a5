"""Before and after: the source model beside the winner."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from hamerspace import _numbers
from hamerspace.quantities import Quantity, told
from hamerspace.report.before_after import Compared, compared
from hamerspace.report.figures import style
from hamerspace.report.run_data import RunData

SOURCE = "source"
_COLOURS = ("#a3adba", "#1f9d66", "#2f80d8")
_LINE_PX, _BETWEEN_PX, _BELOW_PX = 36, 72, 52
_BAR = 0.34

Ends = tuple[float | None, float | None] | None


@dataclass(frozen=True)
class _Bar:
    """One bar: where it ends, its interval, and the words above it."""

    value: float | None
    text: str
    ends: Ends = None


@dataclass(frozen=True)
class _Group:
    """The bars of one figure, one for each entry, and the limit on it."""

    title: str
    bars: tuple[_Bar, ...]
    limit: float | None = None
    limit_text: str = ""


def before_after_figure(run: RunData) -> go.Figure:
    """Draw latency, size and memory as shares of the source model's, and the drop of quality.

    Error bars are confidence intervals; limits are dashed lines. Beside the winner stands the best
    that a single tool does by default, where it is another candidate.
    """
    candidates = compared(run)
    source = run.source.latest
    if not candidates or not source:
        return style.empty_figure("No candidate stands beside the source model yet.")
    entries = (Compared(SOURCE, run.source.label, source, source), *candidates)
    drawn = [q for q in told(run.objectives, run.constraints) if q.gains]
    drawn = [q for q in drawn if any(c.values.get(q.key) for c in candidates)]
    panels = ([_ratio_group(run, q, entries) for q in drawn], [_drop_group(run, entries)])
    heights = [_LINE_PX * (len(entries) + 0.5) * len(groups) for groups in panels]
    figure = style.base_figure(round(sum(heights)) + _BETWEEN_PX + _BELOW_PX)
    figure.set_subplots(2, 1)
    style.dress_axes(figure)
    whole = sum(heights) + _BETWEEN_PX
    for row, groups in enumerate(panels, 1):
        _add_groups(figure, run, row, groups, entries)
        domain = [0, heights[1] / whole] if row == 2 else [1 - heights[0] / whole, 1]
        figure.update_yaxes(domain=domain, row=row, col=1)
    figure.update_layout(barmode="overlay", showlegend=False)
    figure.update_xaxes(title_text="share of the source model", tickformat=".0%", row=1, col=1)
    drop = f"drop of {run.metric.name} ({run.metric.drop_unit})"
    figure.update_xaxes(title_text=style.escape(drop), row=2, col=1)
    return figure


def _ratio_group(run: RunData, quantity: Quantity, entries: Sequence[Compared]) -> _Group:
    limit, base = run.constraints.get(quantity.limit), entries[0].values.get(quantity.key)
    return _Group(
        _numbers.title(quantity.key),
        tuple(_ratio_bar(run, quantity, entry) for entry in entries),
        limit / base if limit and base else None,
        f"at most {_numbers.limit_value(quantity.limit, limit, run.metric)}" if limit else "",
    )


def _ratio_bar(run: RunData, quantity: Quantity, entry: Compared) -> _Bar:
    """A ratio with its interval; that of the source is its own figure's."""
    key, values = quantity.key, entry.values
    text = _numbers.with_unit(key, values.get(key), run.metric)
    ends: Ends = None
    if entry.role == SOURCE:
        middle, low, high = (values.get(k) for k in (key, *(quantity.ends or ("", ""))))
        if quantity.paired and middle and low and high:
            ends = low / middle, high / middle
        return _Bar(1.0 if values.get(key) else None, text, ends)
    if quantity.paired and quantity.ends:
        ends = values.get(f"{quantity.name}_ratio_low"), values.get(f"{quantity.name}_ratio_high")
    ratio = _numbers.ratio_of(key, values, entry.source)
    gain = _numbers.gain(key, ratio)
    return _Bar(ratio, f"{text}, <b>{gain}</b>" if gain else text, ends)


def _drop_group(run: RunData, entries: Sequence[Compared]) -> _Group:
    limit = run.constraints.get("max_accuracy_drop")
    bars = []
    for entry in entries:
        values = entry.values
        text = style.escape(_numbers.quality(values.get("quality"), run.metric))
        if entry.role == SOURCE:
            bars.append(_Bar(0.0, text))
            continue
        drop = _numbers.with_unit("drop_points", values.get("drop_points"), run.metric)
        ends = values.get("drop_low"), values.get("drop_high")
        bars.append(_Bar(values.get("drop_points"), f"{text}, drop <b>{drop}</b>", ends))
    told = _numbers.limit_value("max_accuracy_drop", limit, run.metric) if limit else ""
    return _Group(style.escape(run.metric.name), tuple(bars), limit, f"at most {told}")


def _add_groups(
    figure: go.Figure,
    run: RunData,
    row: int,
    groups: Sequence[_Group],
    entries: Sequence[Compared],
) -> None:
    step = len(entries) + 0.5
    place = {"row": row, "col": 1}
    for position, entry in enumerate(entries):
        bars = [group.bars[position] for group in groups]
        ys = [step * index + position for index in range(len(groups))]
        values = [bar.value for bar in bars]
        figure.add_bar(
            x=values,
            y=ys,
            width=_BAR,
            orientation="h",
            marker={"color": _COLOURS[position]},
            error_x=_error_bars(bars),
            hovertext=[style.hover(f"{entry.role}: {entry.label}", entry.values, run.metric)]
            * len(bars),
            hovertemplate="%{hovertext}<extra></extra>",
            **place,
        )
        for bar, y in zip(bars, ys, strict=True):
            figure.add_annotation(
                text=f"{style.escape(entry.role)}: {bar.text}",
                x=0,
                xref="x domain" if row == 1 else "x2 domain",
                xanchor="left",
                y=y - _BAR / 2,
                yref="y" if row == 1 else "y2",
                yanchor="bottom",
                font={"size": 12},
                showarrow=False,
            )
    _add_limits(figure, row, groups, step)
    figure.update_yaxes(
        range=[step * len(groups) - 0.75, -0.75],
        tickvals=[step * index + (len(entries) - 1) / 2 for index in range(len(groups))],
        ticktext=[_tick(group) for group in groups],
        showgrid=False,
        ticks="",
        **place,
    )
    figure.update_xaxes(range=_range(groups, least=1.0 if row == 1 else 0.5), **place)


def _tick(group: _Group) -> str:
    if group.limit is None:
        return group.title
    limit = f'<span style="color:{style.LIMIT};font-size:11px">{group.limit_text}</span>'
    return f"{group.title}<br>{limit}"


def _add_limits(figure: go.Figure, row: int, groups: Sequence[_Group], step: float) -> None:
    low, high = _range(groups, least=1.0 if row == 1 else 0.5)
    for index, group in enumerate(groups):
        if group.limit is not None and low <= group.limit <= high:
            figure.add_shape(
                type="line",
                x0=group.limit,
                x1=group.limit,
                y0=step * index - 0.6,
                y1=step * (index + 1) - 0.9,
                line={"color": style.LIMIT, "width": 1.5, "dash": "dash"},
                row=row,
                col=1,
            )


def _range(groups: Sequence[_Group], least: float) -> tuple[float, float]:
    """From what reaches farthest to the left to what reaches farthest to the right.

    A limit counts as long as the bars do not shrink to nothing beside it.
    """
    bars = [bar for group in groups for bar in group.bars]
    found = [value for bar in bars for value in (bar.value, *(bar.ends or ())) if value is not None]
    high = max([least, *found])
    high = max([high, *(g.limit for g in groups if g.limit and g.limit < 2.5 * high)])
    low = min([0.0, *found])
    margin = 0.04 * (high - low)
    return (low - margin if low < 0 else 0.0), high + margin


def _error_bars(bars: Sequence[_Bar]) -> dict[str, object]:
    known = [(bar.value or 0.0, *bar.ends) if bar.ends else None for bar in bars]
    above = [max(b[2] - b[0], 0.0) if b and b[2] is not None else None for b in known]
    below = [max(b[0] - b[1], 0.0) if b and b[1] is not None else None for b in known]
    return {
        "type": "data",
        "array": above,
        "arrayminus": below,
        "color": style.INK,
        "thickness": 2,
        "width": 5,
        "visible": any(value is not None for value in above),
    }
