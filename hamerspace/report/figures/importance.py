"""Which choices decided what the trials came to."""

import plotly.graph_objects as go

from hamerspace import _numbers
from hamerspace.report.figures import style
from hamerspace.report.importance import FEASIBLE, LEAST_RECIPES, Importance, importances
from hamerspace.report.run_data import RunData

MOST_CHOICES = 10
_COLOURS = ("#2f80d8", "#e8871e", "#1fa187", "#8a6fd1", "#c94f8f", "#8f9e2a", "#a8705a")
_BAR_PX, _GAP_PX = 15, 12


def importance_figure(run: RunData) -> go.Figure:
    """Draw each choice's share of the variance of each objective, and of keeping the limits.

    A figure that the choices do not explain is left out: see
    :func:`~hamerspace.report.importance.importances`. The legend tells what is explained.
    """
    found = importances(run)
    told = [one for one in found if one.shares]
    if not told:
        return style.empty_figure(why_nothing(found))
    choices = dict.fromkeys(name for one in told for name in one.shares)
    largest = {name: max(one.shares.get(name, 0.0) for one in told) for name in choices}
    names = sorted(largest, key=lambda name: -largest[name])[:MOST_CHOICES]
    figure = style.base_figure(90 + len(names) * (len(told) * _BAR_PX + _GAP_PX))
    colours = dict(zip((one.target for one in found), _COLOURS, strict=False))
    for one in told:
        shares = [one.shares.get(name, 0.0) for name in names]
        title = target_title(run, one)
        figure.add_bar(
            x=shares,
            y=list(range(len(names))),
            orientation="h",
            name=f"{title} ({100 * one.explained:.0f} % explained)",
            marker={"color": colours[one.target]},
            text=[f"{100 * share:.0f} %" if share else "" for share in shares],
            textposition="outside",
            cliponaxis=False,
            textfont={"size": 11},
            hovertext=[f"<b>{style.escape(name)}</b><br>{title}" for name in names],
            hovertemplate="%{hovertext}: %{x:.0%}<extra></extra>",
        )
    figure.update_layout(barmode="group", bargap=0.25)
    figure.update_yaxes(
        autorange="reversed",
        tickvals=list(range(len(names))),
        ticktext=[style.escape(style.shortened(name, 26)) for name in names],
    )
    figure.update_xaxes(
        title_text="share of the variance",
        tickformat=".0%",
        range=[0, 1.14 * max(largest.values())],
    )
    return figure


def target_title(run: RunData, one: Importance) -> str:
    """What was explained, for people."""
    if one.target == FEASIBLE:
        return "keeping the limits"
    return _numbers.title(one.target).replace("quality", run.metric.name)


def why_nothing(found: tuple[Importance, ...]) -> str:
    """Why no importance is told."""
    recipes = max((one.recipes for one in found), default=0)
    if recipes < LEAST_RECIPES:
        return f"Too few recipes were measured to tell: {recipes}, at least {LEAST_RECIPES}."
    return "The choices explain too little of what was measured to tell."
