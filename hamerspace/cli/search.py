"""``hamerspace search``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hamerspace.cli import options
from hamerspace.cli.ending import exit_code

if TYPE_CHECKING:
    from hamerspace.study import Study

NOTHING_FEASIBLE = 3
SOURCE_IS_BEST = 4
INTERRUPTED = 130


@options.of_study(
    *options.TASK,
    *("space", "goal", "backends", "objectives", options.LIMITS),
    *("trials", "timeout_s", "min_gain_percent", "sampler", "seed"),
    *("batch_size", "threads", "target_hardware", "no_history", "trust_pickle"),
)
def search(
    target: options.Target,
    *,
    storage: Annotated[
        str | None, typer.Option(help="Optuna storage URL; default: study.db in the run's folder.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the outputs; default: runs/NAME.")
    ] = None,
    force: options.Force = False,
    json: options.Json = False,
    **given: Any,
) -> None:
    """Search for the best compressed form of a model.

    An interrupted search goes on where it was when the same command is given again. Exit codes:
    0 a winner was confirmed, 2 something given was wrong, 3 nothing keeps the limits, 4 nothing
    beats the source model, 130 interrupted.
    """
    from hamerspace.cli.outcome import print_outcome
    from hamerspace.cli.target import study_of

    study = study_of(target, given, out=out, storage=storage)
    searching(study, force=force)
    print_outcome(study, as_json=json)
    end_without_winner(study)


def end_without_winner(study: "Study") -> None:
    """Raise ``typer.Exit`` with a code that says why, where there is no winner."""
    if study.best is None:
        raise typer.Exit(NOTHING_FEASIBLE if study.nearest_to_source is None else SOURCE_IS_BEST)


def searching(study: "Study", *, force: bool) -> None:
    """Search with a display of how it goes on.

    Args:
        study: To begin or to go on with.
        force: Whether another study in its folder is set aside.

    Raises:
        typer.Exit: The search was interrupted.
    """
    from hamerspace.cli.progress import progress_display

    with progress_display(study) as display:
        try:
            study.optimize(listener=display, force=force)
        except KeyboardInterrupt as ended:
            display.interrupted()
            raise typer.Exit(exit_code() or INTERRUPTED) from ended
