"""``hamerspace compare``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hamerspace.cli import completion, options
from hamerspace.cli.console import console, print_json
from hamerspace.errors import ConfigError

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
    from hamerspace.cli.outcome import winner_document
    from hamerspace.report.pareto import pareto_front

    runs = []
    for compared, hypervolume in zip(found.runs, found.hypervolumes, strict=True):
        run = compared.run
        alike = ("name", "source", "metric", "constraints", "objectives", "environment")
        own = ("folder", "state", "finished", "search_s", "confirm_s")
        runs.append(
            {
                **{name: getattr(compared, name) for name in own},
                **{name: getattr(run, name) for name in alike},
                "winner": winner_document(run),
                "trials": len(run.trials),
                "feasible": sum(trial.feasible for trial in run.trials),
                "front": [trial.number for trial in pareto_front(run)],
                "hypervolume": hypervolume,
            }
        )
    return {"runs": runs, "differences": found.differences, "warnings": found.warnings}
