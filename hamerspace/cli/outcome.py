"""What a search came to, on a terminal or as JSON."""

from typing import Any

from rich.text import Text

from hamerspace import _numbers
from hamerspace._summary import summarize
from hamerspace.cli.console import console, print_json, print_notes
from hamerspace.cli.table import final_table
from hamerspace.outcome.confirmed import Confirmed
from hamerspace.outcome.trial import Trial
from hamerspace.report.run_data import RunData, Values
from hamerspace.report.verdict import Verdict, misses, tried, verdict
from hamerspace.search.run import Run

_COLORS = {"good": "bold green", "unsure": "bold yellow", "bad": "bold red", "neutral": "bold"}


def print_outcome(study: Run, *, as_json: bool) -> None:
    """Print the table of baselines and winners, how each limit fared, and the verdict."""
    if as_json:
        print_json(outcome_document(study))
        return
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


def _findings(run: RunData, judged: Verdict) -> list[str]:
    """How many trials there were, how the winner fares with each limit, or what comes nearest."""
    lines = []
    if run.trials:
        why = f"stopped because {run.stopped_because}" if run.stopped_because else "not finished"
        lines.append(f"{tried(run)}; {why}.")
    lines += [f"{check.limit}: {check.value}, {check.verdict}" for check in judged.checks]
    for nearest in run.nearest:
        missed = "; ".join(misses(run, nearest)) or "not confirmed"
        lines.append(f"nearest: trial {nearest.number}, {nearest.label}: {missed}")
    if run.source_is_best:
        lines.append("To have it all the same: hamerspace export RUN --trial N --output FOLDER")
    return lines


def _last_line(run: RunData, judged: Verdict) -> Text:
    """The source beside the winner; the verdict in words where there is no winner."""
    color = _COLORS[judged.tone]
    winner = run.winner
    if winner is None:
        return Text(judged.headline, style=color)
    values = winner.measurement.values()
    source = _figures(run, run.source.latest)
    text = f"winner {run.labels[winner.number]} {_figures(run, values)} ({_confirmed(winner)})"
    return Text.assemble(f"source {source} -> ", (text, color))


def _figures(run: RunData, values: Values) -> str:
    keys = ["size_mb", "latency_ms", *(["quality"] if values.get("quality") is not None else [])]
    return ", ".join(_numbers.with_unit(key, values.get(key), run.metric) for key in keys)


def _confirmed(winner: Confirmed) -> str:
    """Whether fresh processes and unseen data bear the winner out."""
    for fate in ("missed", "not shown"):
        limits = [_numbers.limit_title(n) for n, v in winner.verdicts.items() if v == fate]
        if limits:
            return f"limit on {' and '.join(limits)} {fate}"
    return "confirmed"


def outcome_document(study: Run) -> dict[str, Any]:
    """Everything that a run has found, for :func:`~hamerspace.cli.console.print_json`."""
    run = summarize(study)
    alike = "name source metric constraints objectives source_is_best nearest stopped_because"
    alike += " warnings notes"
    return {
        **{name: getattr(run, name) for name in alike.split()},
        "folder": study.folder.path,
        "winner": winner_document(run),
        "confirmed": [_confirmed_document(run, c) for c in run.confirmed],
        "front": list(study.front()),
        "trials": [_trial_document(trial) for trial in run.trials],
        "report": study.folder.report if study.folder.report.exists() else None,
        "best": None if run.winner is None else study.folder.best,
    }


def winner_document(run: RunData) -> dict[str, Any] | None:
    """What a run's winner was confirmed with, for :func:`~hamerspace.cli.console.print_json`."""
    return None if run.winner is None else _confirmed_document(run, run.winner)


def _confirmed_document(run: RunData, confirmed: Confirmed) -> dict[str, Any]:
    return {
        "number": confirmed.number,
        "label": run.labels[confirmed.number],
        "recipe_id": confirmed.recipe_id,
        "values": confirmed.measurement.values(),
        "verdicts": confirmed.verdicts,
        "winner": confirmed.number == run.chosen,
    }


def _trial_document(trial: Trial) -> dict[str, Any]:
    told = "number recipe_id label parameters ended_at reason feasible origin values violations"
    told += " seconds started_s finished_s default_of choices"
    return {name: getattr(trial, name) for name in told.split()}
