"""Tables of a run: every trial as a data frame, and the final table as plain rows."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hamerspace import _numbers
from hamerspace.outcome.confirmed import Confirmed
from hamerspace.outcome.trial import Trial
from hamerspace.quantities import FIGURES
from hamerspace.report.markup import escape, table
from hamerspace.report.pareto import pareto_front
from hamerspace.report.run_data import RunData, Values

if TYPE_CHECKING:
    import pandas as pd

FINAL_COLUMNS = {
    "name": "model",
    "quality": "quality",
    "drop": "drop against the source",
    "latency": "latency",
    "size": "size",
    "memory": "memory",
    "verdict": "verdict",
}
"""Key of a row of :func:`final_rows` to the head of its column."""

_FIXED = ["number", "recipe_id", "label", "backend", "origin", "ended_at", "reason", "feasible"]
_TIMES = ["seconds.total", "started_s", "finished_s"]


def trials_frame(run: RunData) -> "pd.DataFrame":
    """One row a trial, indexed by ``number``.

    Columns, in this order; a value that was not measured is NaN:

    - ``recipe_id``, ``label``, ``backend``, ``origin``, ``ended_at``, ``reason``: text;
    - ``feasible``, ``on_front``: bool;
    - every key of :data:`~hamerspace.quantities.FIGURES`: float, units in the names;
    - ``violation.<limit>``: float, at most 0 where the limit is kept;
    - ``seconds.<part>``, ``seconds.total``, ``started_s``, ``finished_s``: float;
    - ``param.<name>``: the recipe's parameters, missing where inert.
    """
    import pandas as pd

    front = {trial.number for trial in pareto_front(run)}
    rows = [_row(trial, trial.number in front) for trial in run.trials]
    known = sorted({name for row in rows for name in row})
    violations, seconds, params = (
        [name for name in known if name.startswith(f"{kind}.") and name not in _TIMES]
        for kind in ("violation", "seconds", "param")
    )
    columns = [*_FIXED, "on_front", *FIGURES, *violations, *seconds, *_TIMES, *params]
    frame = pd.DataFrame(rows, columns=columns)
    numbers = [*FIGURES, *_TIMES]
    frame[numbers] = frame[numbers].astype(float)
    frame[["feasible", "on_front"]] = frame[["feasible", "on_front"]].astype(bool)
    return frame.set_index("number")


def _row(trial: Trial, on_front: bool) -> dict[str, object]:
    return {
        **{name: getattr(trial, name) for name in _FIXED},
        "on_front": on_front,
        **trial.values,  # noqa: PD011 - a mapping, not a frame
        **{f"violation.{name}": value for name, value in trial.violations.items()},
        **{f"seconds.{part}": value for part, value in trial.seconds.items()},
        "seconds.total": sum(trial.seconds.values()),
        "started_s": trial.started_s,
        "finished_s": trial.finished_s,
        **{f"param.{name}": value for name, value in trial.parameters.items()},
    }


@dataclass(frozen=True)
class Model:
    """A row of the final table.

    Attributes:
        name: Of the source model or the recipe.
        verdict: How it fared, in words.
        values: Its figures.
        source: Those of the source model beside which they stand; ``None`` for the source itself.
        winner: Whether it was chosen.
    """

    name: str
    verdict: str
    values: Values
    source: Values | None
    winner: bool = False


def final_models(run: RunData) -> list[Model]:
    """The source, the confirmed, the uncompressed model on each runtime, tools' defaults.

    The winner stands first among the candidates, the others in the order of their latency. The
    uncompressed models tell how much of a gain the runtime alone brings, the defaults what one
    would have without a search. Both come from the search split, so that where candidates were
    confirmed, on another, the source model has a row for each split, before what was measured on
    it.
    """
    searched: Values = run.source.values  # noqa: PD011 - a mapping, not a frame
    source = run.source.latest
    found = [Model(run.source.label, "source", source, None)]
    for candidate in sorted(run.confirmed, key=lambda c: _rank(run, c)):
        name, values = run.labels[candidate.number], candidate.measurement.values()
        won = candidate.number == run.chosen
        found.append(Model(name, _fate(run, candidate), values, source, won))
    confirmed = {c.recipe_id for c in run.confirmed}
    others = []
    for trial in run.trials:
        what = _what_it_is(trial)
        if what and trial.recipe_id not in confirmed:
            fate = "keeps all limits" if trial.feasible else "misses a limit"
            text = f"{what}; {fate} in the search" if run.constraints else f"{what}; in the search"
            others.append(Model(trial.label, text, trial.values, searched))
    if others and source is not searched:
        text = "source, on the rows of the search"
        others.insert(0, Model(run.source.label, text, searched, None))
    return [*found, *others]


def final_heads(run: RunData) -> dict[str, str]:
    """:data:`FINAL_COLUMNS`, quality by the name of the metric."""
    return FINAL_COLUMNS | {"quality": run.metric.name}


def final_rows(run: RunData) -> list[dict[str, str]]:
    """:func:`final_models` as text for people, by the keys of :data:`FINAL_COLUMNS`."""
    return [_final_row(run, model) for model in final_models(run)]


def _what_it_is(trial: Trial) -> str:
    """What makes a trial worth a row though it was not confirmed; empty where nothing does."""
    if trial.ended_at in ("reused", "build", "load"):
        return ""
    if trial.origin == "baseline" and trial.ended_at == "complete":
        return "uncompressed"
    return f"{trial.default_of} default" if trial.default_of else ""


def _rank(run: RunData, candidate: Confirmed) -> tuple[bool, float, int]:
    latency_ms = candidate.measurement.values()["latency_ms"]
    return (
        candidate.number != run.chosen,
        float("inf") if latency_ms is None else latency_ms,
        candidate.number,
    )


def _fate(run: RunData, candidate: Confirmed) -> str:
    words = []
    for fate in ("missed", "not shown"):
        limits = [_numbers.limit_title(n) for n, v in candidate.verdicts.items() if v == fate]
        if limits:
            words.append(f"{', '.join(limits)} {fate}")
    text = "; ".join(words) or ("all limits kept" if run.constraints else "confirmed")
    return f"winner: {text}" if candidate.number == run.chosen else text


def _final_row(run: RunData, model: Model) -> dict[str, str]:
    values: Values = model.values  # noqa: PD011 - a mapping, not a frame
    base = model.source or {}
    drop = _numbers.ABSENT if model.source is None else _numbers.drop_of(values, run.metric)
    if not base:  # its own ratio shows the noise of the machine
        values = {key: value for key, value in values.items() if not key.endswith("_ratio")}
    return {
        "name": model.name,
        "quality": _numbers.quality(values.get("quality"), run.metric),
        "drop": drop,
        "latency": _numbers.measured("latency_ms", values, base),
        "size": _numbers.measured("size_mb", values, base),
        "memory": _numbers.with_unit("memory_mb", values.get("memory_mb"), run.metric),
        "verdict": model.verdict,
    }


def final_markdown(run: RunData) -> str:
    """:func:`final_rows` as a Markdown table, ending in a newline."""
    rows = [final_heads(run), *final_rows(run)]
    heads, *cells = ([escape(row[key]) for key in FINAL_COLUMNS] for row in rows)
    return table(heads, cells)
