"""Plotly figures of a run, for the HTML report and for notebooks alike.

Each function takes a run and returns a figure with transparent backgrounds and neutral fonts, so
that it can be read on a light and on a dark page. Where there is nothing to draw, the figure says
so instead of being empty.
"""

from hamerspace.report.figures.before_after import before_after_figure
from hamerspace.report.figures.front import pareto_figure
from hamerspace.report.figures.importance import importance_figure
from hamerspace.report.figures.parallel import parallel_figure
from hamerspace.report.figures.progress import ended_figure, hypervolume_figure, time_figure
from hamerspace.report.figures.sensitivity import sensitivity_figure

__all__ = [
    "before_after_figure",
    "ended_figure",
    "hypervolume_figure",
    "importance_figure",
    "parallel_figure",
    "pareto_figure",
    "sensitivity_figure",
    "time_figure",
]
