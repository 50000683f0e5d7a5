"""The report's figures, fitted to the cards of the study page."""

from collections.abc import Mapping
from dataclasses import replace

import plotly.graph_objects as go

from hamerspace.report import figures
from hamerspace.report.figures import style
from hamerspace.report.run_data import RunData

_CARD_HEIGHT_PX = 450


def study_figures(run: RunData) -> Mapping[str, go.Figure]:
    """Id to figure; sorted by id they stand in the order that tells the story."""
    drawn = {
        "1-front": ("Feasible Pareto front", figures.pareto_figure(run)),
        "2-hypervolume": (
            "Hypervolume of feasible trials",
            figures.hypervolume_figure(run),
        ),
        "3-gates": ("Where trials ended", figures.ended_figure(run)),
    }
    for number, scheme in enumerate(run.sensitivity, 4):
        drawn[f"{number}-sensitivity"] = ("Sensitivity of layers", _sensitivity(run, scheme))
    return {name: _fitted(figure, title) for name, (title, figure) in drawn.items()}


def sensitivity_page(run: RunData, scheme: str) -> bytes:
    """The sensitivity of layers under one scheme as an HTML page that needs nothing else."""
    page: str = _sensitivity(run, scheme).to_html(include_plotlyjs=True)
    return page.encode()


def _sensitivity(run: RunData, scheme: str) -> go.Figure:
    """A figure of one scheme: all of them are too high for a card."""
    return figures.sensitivity_figure(replace(run, sensitivity={scheme: run.sensitivity[scheme]}))


def _fitted(figure: go.Figure, title: str) -> go.Figure:
    figure.update_layout(
        height=_CARD_HEIGHT_PX,
        title={"text": title, "x": 0, "xref": "paper", "font": {"size": 16}},
        margin={"t": 56},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": style.INK, "activecolor": style.FAINT},
    )
    return figure
