"""How sensitive each layer is to quantization."""

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from hamerspace import _numbers
from hamerspace.report.figures import style
from hamerspace.report.run_data import RunData
from hamerspace.report.verdict import counted

MOST_LAYERS = 25
MOST_SCHEMES = 6
_BAR = "#3f9f99"
_ROW_PX, _AROUND_PX = 20, 90
_ENDLESS = "not finite"

Layers = Sequence[tuple[str, float]]


def sensitivity_figure(run: RunData) -> go.Figure:
    """Draw the error that each layer causes when it alone is quantised, the most sensitive first.

    The error is the mean squared difference of the model's outputs over their mean square: 0.01
    changes the outputs by a hundredth of their power. A panel for each scheme whose layers a trial
    ranked, at most six; at most 25 layers in each, how many are left out is told. Axes are
    logarithmic.
    """
    ranked = list(run.sensitivity.items())[:MOST_SCHEMES]
    if not ranked:
        return style.empty_figure(
            "No trial kept single layers in higher precision (float_layers), so none was ranked."
        )
    heights = [_ROW_PX * min(len(layers), MOST_LAYERS) + _AROUND_PX for _, layers in ranked]
    figure = style.base_figure(sum(heights))
    figure.set_subplots(len(ranked), 1)
    style.dress_axes(figure)
    top = 1.0
    for row, ((scheme, layers), height) in enumerate(zip(ranked, heights, strict=True), 1):
        _add_scheme(figure, row, layers)
        part = height / sum(heights)
        bars = _ROW_PX * min(len(layers), MOST_LAYERS) / sum(heights)
        upper = top - 26 / sum(heights)
        figure.update_yaxes(domain=[max(upper - bars, 0.0), upper], row=row, col=1)
        _add_title(figure, scheme, len(layers), upper)
        top -= part
    return figure


def _add_scheme(figure: go.Figure, row: int, layers: Layers) -> None:
    shown = list(reversed(layers[:MOST_LAYERS]))  # a horizontal bar chart counts from the bottom
    positive = [error for _, error in shown if 0 < error < math.inf] or [1.0]
    low = 10 ** math.floor(math.log10(min(positive)) - 0.3)
    high = low * (max(positive) / low) ** 1.15  # leaves room for the figures
    longest = max(positive)
    drawn = [min(max(error, low * 1.02), longest) for _, error in shown]
    texts = [_text(error) for _, error in shown]
    names = [style.escape(name) for name, _ in shown]
    figure.add_bar(
        x=drawn,
        y=list(range(len(shown))),
        orientation="h",
        marker={"color": _BAR},
        text=texts,
        textposition="outside",
        cliponaxis=False,
        textfont={"size": 11},
        hovertext=[f"<b>{name}</b><br>error {t}" for name, t in zip(names, texts, strict=True)],
        hovertemplate="%{hovertext}<extra></extra>",
        showlegend=False,
        row=row,
        col=1,
    )
    powers = range(round(math.log10(low)), math.floor(math.log10(high)) + 1)
    figure.update_xaxes(
        type="log",
        range=[math.log10(low), math.log10(high)],
        tickvals=[10.0**power for power in powers],
        ticktext=[f"10<sup>{power}</sup>" for power in powers],
        tickangle=0,
        title_text="error of the outputs",
        row=row,
        col=1,
    )
    figure.update_yaxes(
        tickvals=list(range(len(shown))),
        ticktext=[style.escape(style.shortened(name)) for name, _ in shown],
        tickfont={"size": 11},
        range=[-0.6, len(shown) - 0.4],
        row=row,
        col=1,
    )


def _text(error: float) -> str:
    if not math.isfinite(error):
        return _ENDLESS
    return f"{error:.1e}" if 0 < error < 0.001 else _numbers.number(error, 2)


def _add_title(figure: go.Figure, scheme: str, layers: int, upper: float) -> None:
    rest = layers - MOST_LAYERS
    told = f" (and {counted(rest, 'less sensitive layer')})" if rest > 0 else ""
    figure.add_annotation(
        text=f"<b>{style.escape(style.shortened(scheme, 44))}</b>{told}",
        hovertext=style.escape(scheme),
        x=0,
        xref="paper",
        xanchor="left",
        y=upper,
        yref="paper",
        yanchor="bottom",
        showarrow=False,
        font={"size": 12},
    )
