"""The report's figures, fitted to the cards of the study page."""

from collections.abc import Mapping

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
    return {name: _fitted(figure, title) for name, (title, figure) in drawn.items()}


def _fitted(figure: go.Figure, title: str) -> go.Figure:
    figure.update_layout(
        height=_CARD_HEIGHT_PX,
        title={"text": title, "x": 0, "xref": "paper", "font": {"size": 16}},
        margin={"t": 56},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": style.INK, "activecolor": style.FAINT},
    )
    return figure
