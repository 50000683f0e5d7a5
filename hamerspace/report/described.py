"""The figures of a report in their order, each with what it says."""

from collections.abc import Callable
from typing import NamedTuple

import plotly.graph_objects as go

from hamerspace.report import figures
from hamerspace.report.run_data import RunData


class Described(NamedTuple):
    """A figure: its short name, its title, what it says, and what draws it."""

    name: str
    title: str
    note: str
    draw: Callable[[RunData], go.Figure]


def described_figures(run: RunData) -> list[Described]:
    """The figures of a run; that of sensitivity only where layers were ranked."""
    marks = (
        "Area of a mark: size in MB. Ringed: on the Pareto front of "
        f"{', '.join(run.objectives)}. Dotted: the front of latency and quality alone. "
    )
    if not any(t.feasible for t in run.trials):
        marks = ""
    found = [
        Described(
            "comparison",
            "Before and after",
            "Shorter is better. Lines at the ends: confidence intervals. Dashed: the limits.",
            figures.before_after_figure,
        ),
        Described(
            "front",
            "Latency against quality",
            f"Nearer to the lower left is better. {marks}"
            "Grey: misses a limit; an arrow lies above the picture.",
            figures.pareto_figure,
        ),
        Described(
            "importance",
            "What decided",
            "Share of the differences between recipes that a choice accounts for, together with "
            "the choices that depend on it. Shares overlap, so they may add up to more than "
            "100 %. Learnt from the trials of this search alone.",
            figures.importance_figure,
        ),
        Described(
            "parallel",
            "Choices and what they lead to",
            "Each line is a trial that keeps all limits; the front is selected. Drag along an "
            "axis to select, click on it to let go.",
            figures.parallel_figure,
        ),
        Described(
            "sensitivity",
            "Sensitivity of the layers",
            "What quantising a layer alone does to the model's outputs: the mean squared "
            "difference over their mean square. At 0.01 it changes a hundredth of their power.",
            figures.sensitivity_figure,
        ),
        Described(
            "ended",
            "Where trials ended",
            "From the first gate down to success; reused: an earlier trial of the same recipe.",
            figures.ended_figure,
        ),
        Described(
            "time",
            "Where the time went",
            "Summed over trials; one trial may take part of its build from the store.",
            figures.time_figure,
        ),
        Described(
            "progress",
            "Progress of the search",
            "Share of the box between the source model and the ideal (no time, no bytes, nothing "
            "lost) that feasible trials dominate: the hypervolume of "
            f"{', '.join(run.objectives)}.",
            figures.hypervolume_figure,
        ),
    ]
    return [one for one in found if one.name != "sensitivity" or run.sensitivity]
