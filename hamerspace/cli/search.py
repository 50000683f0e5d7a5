"""``hamerspace search``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hamerspace.cli import completion, options
from hamerspace.cli.ending import exit_code

if TYPE_CHECKING:
    from hamerspace.study import Study

NOTHING_FEASIBLE = 3
SOURCE_IS_BEST = 4
INTERRUPTED = 130


def search(
    target: options.Target,
    data: options.Data = None,
    inputs: options.Inputs = None,
    weights: options.Weights = None,
    metric: options.Metric = None,
    direction: options.Direction = None,
    output_name: options.OutputName = None,
    space: options.SpaceName = None,
    goal: options.Goal = None,
    backends: options.Backends = None,
    objectives: Annotated[
        str | None,
        typer.Option(
            help="Of quality, latency, size, memory, throughput, download, by commas.",
            autocompletion=completion.objectives,
        ),
    ] = None,
    max_latency_ms: options.MaxLatency = None,
    max_size_mb: options.MaxSize = None,
    max_accuracy_drop: options.MaxDrop = None,
    max_memory_mb: options.MaxMemory = None,
    max_download_mb: options.MaxDownload = None,
    trials: Annotated[int | None, typer.Option(help="Finished trials of the study.")] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds that this call may search.")
    ] = None,
    min_gain_percent: Annotated[
        float | None,
        typer.Option(
            help="Stop once a trial more is expected to add less than this to the hypervolume."
        ),
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            help="auto (which is surrogate), tpe, nsgaii, gp or random.",
            autocompletion=completion.samplers,
        ),
    ] = None,
    seed: options.Seed = None,
    batch_size: options.BatchSize = None,
    threads: options.Threads = None,
    target_hardware: options.Hardware = None,
    storage: Annotated[
        str | None, typer.Option(help="Optuna storage URL; default: study.db in the run's folder.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the outputs; default: runs/NAME.")
    ] = None,
    force: options.Force = False,
    no_history: options.NoHistory = False,
    trust_pickle: options.TrustPickle = False,
    json: options.Json = False,
) -> None:
    """Search for the best compressed form of a model.

    An interrupted search goes on where it was when the same command is given again. Exit codes:
    0 a winner was confirmed, 2 something given was wrong, 3 nothing keeps the limits, 4 nothing
    beats the source model, 130 interrupted.
    """
    given = locals()
    from hamerspace.cli.outcome import print_outcome
    from hamerspace.cli.target import study_of

    study = study_of(target, given, backends=options.backend_names(backends))
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
