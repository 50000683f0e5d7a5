"""What a search came to, on a terminal or as JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hamerspace.cli.console import console, print_json, print_notes
from hamerspace.cli.table import final_table

if TYPE_CHECKING:
    from rich.text import Text

    from hamerspace.outcome.confirmed import Confirmed
    from hamerspace.outcome.trial import Trial
    from hamerspace.report.run_data import RunData, Values
    from hamerspace.report.verdict import Verdict
    from hamerspace.search.run import Run

_COLORS = {"good": "bold green", "unsure": "bold yellow", "bad": "bold red", "neutral": "bold"}


def print_outcome(study: "Run", *, as_json: bool) -> None:
    """Print the table of baselines and winners, how each limit fared, and the verdict."""
    if as_json:
        print_json(outcome_document(study))
        return
    from rich.text import Text

    from hamerspace._summary import summarize
    from hamerspace.report.verdict import verdict

    run = summarize(study)
    out = console()
    print_notes(out, run.warnings, run.notes)
    if run.source.values:
        out.print(final_table(run, out.width))
        out.print()
    judged = verdict(run)
    for line in _findings(run, judged):
        out.print(Text(line))
    if study.best is not None:
        out.print(Text(f"winner: {study.folder.best}"), soft_wrap=True)
    if study.folder.report.exists():
        out.print(Text(f"report: {study.folder.report}"), soft_wrap=True)
    # A program that reads the output finds the whole sentence on the last line.
    out.print(_last_line(run, judged), soft_wrap=not out.is_terminal)


def _findings(run: "RunData", judged: "Verdict") -> list[str]:
    """How many trials there were, how the winner fares with each limit, or what comes nearest."""
    from hamerspace.report.verdict import misses

    lines = []
    if run.trials:
        kept = sum(trial.feasible for trial in run.trials)
        trials = f"{len(run.trials):,} trial{'' if len(run.trials) == 1 else 's'}"
        keeping = f", {kept:,} within the limits" if run.constraints else ""
        why = f"stopped because {run.stopped_because}" if run.stopped_because else "not finished"
        lines.append(f"{trials}{keeping}; {why}.")
    lines += [f"{check.limit}: {check.value}, {check.verdict}" for check in judged.checks]
    for nearest in run.nearest:
        missed = "; ".join(misses(run, nearest)) or "not confirmed"
        lines.append(f"nearest: trial {nearest.number}, {nearest.label}: {missed}")
    if run.source_is_best:
        lines.append("To have it all the same: hamerspace export RUN --trial N --output FOLDER")
    return lines


def _last_line(run: "RunData", judged: "Verdict") -> "Text":
    """The source beside the winner; the verdict in words where there is no winner."""
    from rich.text import Text

    color = _COLORS[judged.tone]
    winner = run.winner
    if winner is None:
        return Text(judged.headline, style=color)
    values = winner.measurement.values()
    source = _figures(run, run.source.latest)
    text = f"winner {run.labels[winner.number]} {_figures(run, values)} ({_confirmed(winner)})"
    return Text.assemble(f"source {source} -> ", (text, color))


def _figures(run: "RunData", values: "Values") -> str:
    from hamerspace import _numbers

    parts = [
        _numbers.with_unit(key, values.get(key), run.metric) for key in ("size_mb", "latency_ms")
    ]
    if values.get("quality") is not None:
        parts.append(_numbers.quality(values["quality"], run.metric))
    return ", ".join(parts)


def _confirmed(winner: "Confirmed") -> str:
    """Whether fresh processes and unseen data bear the winner out."""
    from hamerspace import _numbers

    for fate in ("missed", "not shown"):
        limits = [_numbers.limit_title(n) for n, v in winner.verdicts.items() if v == fate]
        if limits:
            return f"limit on {' and '.join(limits)} {fate}"
    return "confirmed"


def outcome_document(study: "Run") -> dict[str, Any]:
    """Everything that a run has found, as one JSON value."""
    from hamerspace._summary import summarize

    run = summarize(study)
    winner = run.winner
    return {
        "name": run.name,
        "folder": str(study.folder.path),
        "source": asdict(run.source),
        "metric": asdict(run.metric),
        "constraints": dict(run.constraints),
        "objectives": list(run.objectives),
        "winner": None if winner is None else confirmed_document(run, winner),
        "confirmed": [confirmed_document(run, c) for c in run.confirmed],
        "front": list(study.front()),
        "source_is_best": run.source_is_best,
        "nearest": [asdict(n) for n in run.nearest],
        "trials": [_trial_document(trial) for trial in run.trials],
        "stopped_because": run.stopped_because,
        "warnings": list(run.warnings),
        "notes": list(run.notes),
        "report": str(study.folder.report) if study.folder.report.exists() else None,
        "best": None if winner is None else str(study.folder.best),
    }


def confirmed_document(run: "RunData", confirmed: "Confirmed") -> dict[str, Any]:
    """A candidate that was confirmed, as one JSON value."""
    return {
        "number": confirmed.number,
        "label": run.labels[confirmed.number],
        "recipe_id": confirmed.recipe_id,
        "values": confirmed.measurement.values(),
        "verdicts": dict(confirmed.verdicts),
        "winner": confirmed.number == run.chosen,
    }


def _trial_document(trial: "Trial") -> dict[str, Any]:
    told = "number recipe_id label parameters ended_at reason feasible origin values violations"
    told += " seconds started_s finished_s default_of choices"
    found = {name: getattr(trial, name) for name in told.split()}
    return {k: dict(v) if isinstance(v, Mapping) else v for k, v in found.items()}
