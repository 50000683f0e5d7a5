"""The report as Markdown, as code hosts draw it."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from hamerspace import _numbers
from hamerspace._files import write_text
from hamerspace.quantities import told
from hamerspace.report.importance import FEASIBLE, importances
from hamerspace.report.markup import escape, fence, table
from hamerspace.report.pareto import pareto_front
from hamerspace.report.reproduction import reproduction
from hamerspace.report.run_data import RunData
from hamerspace.report.tables import final_markdown
from hamerspace.report.verdict import misses, verdict


def render_markdown(run: RunData, figures: Mapping[str, str] | None = None) -> str:
    """The report: verdict, limits, table, front, importance, environment, how to reproduce.

    Args:
        run: What to tell.
        figures: Name of a figure to the path of its picture, relative to the report.
    """
    pictures = figures or {}
    judged = verdict(run)
    parts = [f"# {escape(run.name)}", f"**{escape(judged.headline)}**"]
    parts += [_items(f"{check.verdict}: {check.limit}: {check.value}" for check in judged.checks)]
    parts += [_items(f"Warning: {warning}" for warning in run.warnings)]
    parts += [_items(f"Note: {note}" for note in run.notes)]
    near = [f"{n.label} (trial {n.number}): {'; '.join(misses(run, n))}" for n in run.nearest]
    parts += ["## Nearest candidates", _items(near)] if near else []
    parts += [_picture(pictures, "comparison", "Before and after")]
    parts += ["## Source model and candidates", final_markdown(run)]
    parts += ["## Pareto front", _front(run), _picture(pictures, "front", "Latency and quality")]
    parts += ["## What decided", _importance(run)]
    if run.sensitivity:
        parts += ["## Sensitivity of the layers", _sensitivity(run)]
    if run.environment:
        facts = [(escape(name), escape(value)) for name, value in run.environment.items()]
        parts += ["## Environment", table(("what", "value"), facts)]
    parts += _reproduction(run)
    return "\n\n".join(part.rstrip("\n") for part in parts if part) + "\n"


def write_markdown(run: RunData, path: Path, figures: Iterable[Path] = ()) -> Path:
    """Write the report to ``path``, whole or not at all, and return ``path``.

    Missing folders are made; links to ``figures`` are relative to the report.

    Raises:
        RunFolderError: The file cannot be written.
    """
    root = path.parent.resolve()
    links = {figure.stem: os.path.relpath(figure.resolve(), root) for figure in figures}
    write_text(path, render_markdown(run, links))
    return path


def _items(lines: Iterable[str]) -> str:
    return "\n".join(f"- {escape(line)}" for line in lines)


def _picture(pictures: Mapping[str, str], name: str, title: str) -> str:
    # Within <>, only these end a path.
    path = re.sub(r"[<>\\%\s]", lambda found: quote(found[0], safe=" "), pictures.get(name, ""))
    return f"![{title}](<{path}>)" if path else ""


def _front(run: RunData) -> str:
    front = pareto_front(run)
    if not front:
        return "No trial keeps all limits."
    keys = [q.key for q in told(run.objectives, run.constraints) if q.gains]
    heads = ["trial", "recipe", f"drop ({run.metric.drop_unit})"]
    heads += [_numbers.axis_title(key, run.metric) for key in keys]
    rows: list[Sequence[str]] = [
        [
            str(trial.number),
            escape(trial.label),
            escape(_numbers.drop_of(trial.values, run.metric)),
            *(_numbers.number(trial.values.get(key)) for key in keys),
        ]
        for trial in front
    ]
    return table(heads, rows)


def _importance(run: RunData) -> str:
    told = [one for one in importances(run) if one.shares]
    if not told:
        return "Too few recipes were measured, or the choices explain too little, to tell."
    rows = []
    for one in told:
        title = "keeping the limits" if one.target == FEASIBLE else _numbers.title(one.target)
        shares = ", ".join(f"{escape(name)} {100 * s:.0f} %" for name, s in one.shares.items())
        rows.append((title, f"{100 * one.explained:.0f} %", shares))
    return table(("figure", "explained", "share of the variance by choice"), rows)


def _sensitivity(run: RunData, most: int = 5) -> str:
    rows = [
        (escape(scheme), ", ".join(f"{escape(n)} {error:.1e}" for n, error in layers[:most]))
        for scheme, layers in run.sensitivity.items()
    ]
    return table(("scheme", "most sensitive layers, error of the outputs"), rows)


def _reproduction(run: RunData) -> list[str]:
    found = reproduction(run)
    blocks = [("console", found.command)] if found.command else [("python", found.program)]
    blocks += [("yaml", found.study_yaml), ("json", found.recipe)]
    drawn = [fence(kind, text) for kind, text in blocks if text]
    return ["## How to reproduce", *drawn] if drawn else []
