"""What a search came to, on a terminal or as JSON."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hamerspace.cli.console import console, print_json

if TYPE_CHECKING:
    from hamerspace.study import Study


def print_outcome(study: "Study", *, as_json: bool) -> None:
    """Print the verdict, the table of baselines and winners, and where the files are."""
    run = study.run_data()
    if as_json:
        print_json(_document(study))
        return
    from rich.table import Table
    from rich.text import Text

    from hamerspace.report.tables import FINAL_COLUMNS, final_rows
    from hamerspace.report.verdict import misses, verdict

    out = console()
    for warning in run.warnings:
        out.print(Text(f"note: {warning}", style="yellow"))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for key, title in FINAL_COLUMNS.items():
        table.add_column(title, no_wrap=key != "verdict")
    for row in final_rows(run):
        style = "green" if row["verdict"].startswith("winner") else ""
        table.add_row(*(Text(row[key], style=style) for key in FINAL_COLUMNS))
    out.print(table)
    for nearest in run.nearest:
        text = f"nearest: {nearest.label} (trial {nearest.number}): "
        out.print(Text(text + ("; ".join(misses(run, nearest)) or "not confirmed")))
    judged = verdict(run)
    color = {"good": "bold green", "unsure": "bold yellow", "bad": "bold red"}
    out.print(Text(judged.headline, style=color.get(judged.tone, "bold")))
    out.print(
        Text(
            f"{len(run.trials)} trials, {sum(t.feasible for t in run.trials)} of them keep the "
            f"limits; stopped because {run.stopped_because}."
        )
    )
    if study.best is not None:
        out.print(Text(f"winner: {study.folder.best}"))
    if study.folder.report.exists():
        out.print(Text(f"report: {study.folder.report}"))


def _document(study: "Study") -> dict[str, Any]:
    run = study.run_data()
    winner = run.winner
    return {
        "name": run.name,
        "folder": str(study.folder.path),
        "source": asdict(run.source),
        "metric": asdict(run.metric),
        "constraints": dict(run.constraints),
        "objectives": list(run.objectives),
        "winner": None if winner is None else asdict(winner),
        "confirmed": [asdict(c) for c in run.confirmations],
        "front": list(study.front()),
        "nearest": [asdict(n) for n in run.nearest],
        "trials": [asdict(t) for t in run.trials],
        "stopped_because": run.stopped_because,
        "warnings": list(run.warnings),
        "report": str(study.folder.report),
        "best": None if winner is None else str(study.folder.best),
    }
