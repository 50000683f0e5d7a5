"""``hamerspace export``."""

from pathlib import Path
from typing import Annotated

import typer

from hamerspace.cli import options
from hamerspace.cli.console import print_json, say


def export(
    run: options.Run,
    output: Annotated[Path, typer.Option(help="A new folder for the model.")],
    trial: Annotated[
        int | None, typer.Option(help="Number of the trial; default: the winner.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Write a trial's model files, recipe, measurement and predict.py into a folder."""
    from hamerspace.study import Study

    folder = Study.load(run).export(output, trial)
    files = sorted(path.name for path in folder.iterdir())
    if json:
        print_json({"folder": folder, "files": files})
    else:
        say(f"{folder}: {', '.join(files)}")
