"""``hamerspace report``."""

from pathlib import Path
from typing import Annotated

import typer

from hamerspace.cli import options
from hamerspace.cli.console import print_json, say


def report(
    run: options.Run,
    output: Annotated[
        Path | None, typer.Option(help="The HTML file; default: report.html in the run's folder.")
    ] = None,
    markdown: Annotated[Path | None, typer.Option(help="A Markdown file to write too.")] = None,
    figures: Annotated[
        Path | None,
        typer.Option(help="A folder for the figures as PNG; needs hamerspace[figures]."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Write the report of a run, finished or not, as HTML, Markdown and PNG figures."""
    from hamerspace.study import Study

    study = Study.load(run)
    pictures = [] if figures is None else study.save_figures(figures)
    written = {
        "report": study.report(output),
        "markdown": None if markdown is None else study.report_markdown(markdown, pictures),
        "figures": pictures,
    }
    if json:
        print_json(written)
        return
    for name in ("report", "markdown"):
        if written[name]:
            say(f"{name}: {written[name]}")
    if pictures:
        say(f"figures: {figures}: {', '.join(path.name for path in pictures)}")
