"""How the search went: what it reached, where trials ended, where the time went."""

import plotly.graph_objects as go

from hamerspace import _numbers
from hamerspace.outcome.measurement import Gate
from hamerspace.outcome.trial import Trial
from hamerspace.report.figures import style
from hamerspace.report.pareto import hypervolume_progress
from hamerspace.report.run_data import RunData

_NO_LIMIT = (Gate.BUILD, Gate.LOAD, Gate.COMPLETE)
FATES = {
    "build": "not built",
    "load": "fails when run",
    **{gate.value: f"{gate} gate".replace("_", " ") for gate in Gate if gate not in _NO_LIMIT},
    "missed": "measured, misses a limit",
    "kept": "measured, keeps all limits",
    "reused": "reused",
}

_ALWAYS = ("build", "size", "latency", "quality", "missed", "kept", "reused")
"""Fates that are drawn also where no trial met them."""

_PARTS = {
    "build": "#55688a",
    "load": "#94a3b8",
    "size": "#b5bd72",
    "latency": "#3f9f99",
    "quality": "#8b76c2",
    "memory": "#c58fbf",
    "overhead": "#b3b9c2",
}
_OTHER_PARTS = ("#c76f7f", "#6fa7bd", "#a8825a")
_LINE = "#3f9f99"


def hypervolume_figure(run: RunData) -> go.Figure:
    """Draw the dominated share of :func:`hamerspace.report.pareto.hypervolume_progress`."""
    progress = hypervolume_progress(run)
    if not progress:
        return style.empty_figure("No trial has finished yet.")
    figure = style.base_figure(280)
    labels = {trial.number: trial.label for trial in run.trials}
    shares = [share for _, share in progress]
    better = [share > before for share, before in zip(shares, [0.0, *shares], strict=False)]
    figure.add_scatter(
        x=[number for number, _ in progress],
        y=shares,
        mode="lines",
        line={"shape": "hv", "width": 2.2, "color": _LINE},
        fill="tozeroy",
        fillcolor="rgba(63, 159, 153, 0.14)",
        hoverinfo="skip",
        showlegend=False,
    )
    steps = [point for point, up in zip(progress, better, strict=True) if up]
    if steps:
        figure.add_scatter(
            x=[number for number, _ in steps],
            y=[share for _, share in steps],
            mode="markers",
            marker={"color": _LINE, "size": 8},
            hovertext=[
                style.hover(f"trial {number}: {labels[number]}", {}, run.metric)
                for number, _ in steps
            ],
            hovertemplate="%{hovertext}<br>share %{y:.3f}<extra></extra>",
            showlegend=False,
        )
    figure.update_xaxes(title_text="trial", tickformat="d", rangemode="tozero")
    figure.update_yaxes(title_text="dominated share", range=[0, max(0.05, 1.08 * max(shares))])
    return figure


def fate(trial: Trial) -> str:
    """Key of :data:`FATES`: the gate, or how a trial that was measured in full fared."""
    if trial.ended_at == "complete":
        return "kept" if trial.feasible else "missed"
    return trial.ended_at


def ended_figure(run: RunData) -> go.Figure:
    """Draw how many trials ended where, from the first gate down to success and reuse."""
    if not run.trials:
        return style.empty_figure("No trial has finished yet.")
    figure = style.base_figure(360)
    met = {fate(trial) for trial in run.trials}
    # A horizontal bar chart counts from the bottom.
    rows = [row for row in reversed(FATES) if row in met or row in _ALWAYS]
    for backend, (colour, _) in style.backend_styles(run.backends).items():
        fates = [fate(trial) for trial in run.trials if trial.backend == backend]
        counts = [fates.count(row) for row in rows]
        figure.add_bar(
            x=counts,
            y=[FATES[row] for row in rows],
            orientation="h",
            name=backend,
            marker={"color": colour},
            text=[str(count) if count else "" for count in counts],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"color": "white"},
            hovertemplate="%{y}: %{x}<extra>" + style.escape(backend) + "</extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.3, legend_traceorder="normal")
    figure.update_xaxes(title_text="trials", tickformat="d")
    return figure


def time_figure(run: RunData) -> go.Figure:
    """Draw the seconds that each part took, over all trials and for each backend."""
    totals = {backend: _seconds(run, backend) for backend in run.backends}
    everything = _seconds(run, None)
    if sum(everything.values()) <= 0:
        return style.empty_figure("No time was recorded.")
    figure = style.base_figure(130 + 44 * (len(totals) + 1))
    rows = [*reversed(totals), "all"] if len(totals) > 1 else list(totals)
    whole_s = sum(everything.values())
    divisor, unit = (60.0, "min") if whole_s > 600 else (1.0, "s")
    spare = iter(_OTHER_PARTS * 9)
    for part in [part for part in dict.fromkeys([*_PARTS, *everything]) if part in everything]:
        seconds = [(everything if row == "all" else totals[row]).get(part, 0.0) for row in rows]
        figure.add_bar(
            x=[value / divisor for value in seconds],
            y=rows,
            orientation="h",
            name=part,
            marker={"color": _PARTS.get(part) or next(spare)},
            hovertext=[f"{_numbers.duration(s)} ({100 * s / whole_s:.0f} %)" for s in seconds],
            hovertemplate="%{hovertext}<extra>" + style.escape(part) + "</extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.3, legend_traceorder="normal")
    figure.update_xaxes(title_text=f"time ({unit})")
    return figure


def _seconds(run: RunData, backend: str | None) -> dict[str, float]:
    totals: dict[str, float] = {}
    for trial in run.trials:
        if backend in (None, trial.backend):
            for part, seconds in trial.seconds.items():
                totals[part] = totals.get(part, 0.0) + seconds
    return totals
