"""``hamerspace compare``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hamerspace.cli import completion, options

if TYPE_CHECKING:
    from rich.table import Table

    from hamerspace.report.comparison import Comparison


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN",
            help="Folders of two or more runs.",
            autocompletion=completion.run_folders,
        ),
    ],
    json: options.Json = False,
) -> None:
    """Set runs side by side: source, winner, front, time, and in what the studies differ.

    A warning names figures that do not compare, such as latencies of two machines.
    """
    from hamerspace._summary import compared_run
    from hamerspace.cli.console import print_json
    from hamerspace.errors import ConfigError
    from hamerspace.report.comparison import compare as side_by_side
    from hamerspace.search.run import Run

    if len(runs) < 2:
        raise ConfigError(f"compare: {runs[0]} alone compares with nothing; name two or more runs")
    found = side_by_side([compared_run(Run.load(run), str(run)) for run in runs])
    if json:
        print_json(_document(found))
    else:
        _print(found)


def _print(found: "Comparison") -> None:
    from hamerspace.cli.console import console

    out = console()
    names = [compared.folder for compared in found.runs]
    for warning in found.warnings:
        out.print(f"note: {warning}", style="yellow")
    if found.warnings:
        out.print()
    out.print(_table("", names, found.rows))
    out.print()
    if not found.differences:
        out.print("The studies do not differ.")
        return
    rows = {d.name: tuple(_text(value) for value in d.values) for d in found.differences}
    out.print(_table("differs", names, rows))


def _table(head: str, names: list[str], rows: "Any") -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(head, style="dim", overflow="fold")
    for name in names:
        table.add_column(name, overflow="fold", ratio=1)
    for name, texts in rows.items():
        table.add_row(name, *texts)
    return table


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "-"
    return str(value)


def _document(found: "Comparison") -> dict[str, Any]:
    from dataclasses import asdict

    from hamerspace.cli.outcome import confirmed_document
    from hamerspace.report.pareto import pareto_front

    return {
        "runs": [
            {
                "folder": compared.folder,
                "name": compared.run.name,
                "state": compared.state,
                "finished": compared.finished,
                "source": asdict(compared.run.source),
                "metric": asdict(compared.run.metric),
                "constraints": dict(compared.run.constraints),
                "objectives": list(compared.run.objectives),
                "winner": None
                if compared.run.winner is None
                else confirmed_document(compared.run, compared.run.winner),
                "trials": len(compared.run.trials),
                "feasible": sum(trial.feasible for trial in compared.run.trials),
                "front": [trial.number for trial in pareto_front(compared.run)],
                "hypervolume": hypervolume,
                "search_s": compared.search_s,
                "confirm_s": compared.confirm_s,
                "environment": dict(compared.run.environment),
            }
            for compared, hypervolume in zip(found.runs, found.hypervolumes, strict=True)
        ],
        "differences": [asdict(difference) for difference in found.differences],
        "warnings": list(found.warnings),
    }
