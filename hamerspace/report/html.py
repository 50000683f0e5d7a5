"""The report: one HTML file that needs nothing else, neither a server nor the network."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from hamerspace import _numbers
from hamerspace._files import write_text
from hamerspace.outcome.trial import Trial
from hamerspace.report import tables
from hamerspace.report.described import Described, described_figures
from hamerspace.report.figures.progress import FATES, fate
from hamerspace.report.figures.style import backend_styles
from hamerspace.report.pareto import pareto_front
from hamerspace.report.reproduction import reproduction
from hamerspace.report.run_data import RunData
from hamerspace.report.verdict import misses, verdict


def render(run: RunData) -> str:
    """Return the report as one HTML document.

    Every text of the run is escaped. The same run gives the same document.
    """
    return (
        _environment()
        .get_template("report.html.jinja")
        .render(
            run=run,
            verdict=verdict(run),
            nearest=[(n.label, n.number, misses(run, n)) for n in run.nearest],
            final_columns=tables.final_heads(run),
            final_rows=tables.final_rows(run),
            figures=[_figure(one, one.draw(run)) for one in described_figures(run)],
            reproduction=reproduction(run),
            trials=list(_trial_rows(run)),
            trial_heads=_trial_heads(run),
            colours={name: colour for name, (colour, _) in backend_styles(run.backends).items()},
            plotly_js=get_plotlyjs(),
        )
    )


def write(run: RunData, path: Path) -> Path:
    """Write the report to ``path``, whole or not at all, and return ``path``.

    Missing folders are made; a report that stands there is replaced.

    Raises:
        RunFolderError: The file cannot be written.
    """
    write_text(path, render(run))
    return path


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("hamerspace.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["duration"] = _numbers.duration
    return environment


def _figure(described: Described, figure: go.Figure) -> dict[str, Any]:
    # "<" is escaped so that no text of the run can end the script element.
    data = figure.to_json().replace("<", "\\u003c")
    return {
        "id": described.name,
        "title": described.title,
        "note": described.note,
        "height_px": figure.layout.height,
        "drawn": len(figure.data) > 0,
        "json": data,
    }


def _trial_heads(run: RunData) -> list[str]:
    keys = ("latency_ms", "size_mb", "drop_points", "memory_mb")
    titles = [_numbers.axis_title(key, run.metric) for key in keys]
    return ["trial", "recipe", "ended", *titles, "build (s)", "total (s)", "why"]


def _trial_rows(run: RunData) -> Iterable[dict[str, Any]]:
    front = {trial.number for trial in pareto_front(run)}
    winner = run.winner.number if run.winner else None
    for trial in run.trials:
        yield {
            "trial": trial,
            "fate": fate(trial),
            "fate_text": FATES[fate(trial)],
            "rank": list(FATES).index(fate(trial)),
            "on_front": trial.number in front,
            "winner": trial.number == winner,
            "numbers": _trial_numbers(trial),
        }


def _trial_numbers(trial: Trial) -> list[tuple[float | None, str]]:
    values = trial.values
    drop = values.get("drop_points")
    plain = [values.get("latency_ms"), values.get("size_mb"), drop, values.get("memory_mb")]
    plain += [trial.seconds.get("build"), sum(trial.seconds.values())]
    texts = [_numbers.number(value) for value in plain]
    texts[2] = _numbers.drop(drop)
    return list(zip(plain, texts, strict=True))
