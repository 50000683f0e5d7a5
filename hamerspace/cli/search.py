"""``hamerspace search``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hamerspace.cli import options

if TYPE_CHECKING:
    from hamerspace.study import Study

NOTHING_FEASIBLE = 3
INTERRUPTED = 130


def search(
    target: options.Target,
    data: options.Data = None,
    inputs: options.Inputs = None,
    weights: options.Weights = None,
    metric: options.Metric = None,
    direction: options.Direction = None,
    space: Annotated[
        str | None, typer.Option(help="A space's name, auto, or a space file.")
    ] = None,
    backends: Annotated[
        str | None, typer.Option(help="Search only these, separated by commas.")
    ] = None,
    objectives: Annotated[
        str | None,
        typer.Option(help="Of quality, latency, size, memory, throughput, download, by commas."),
    ] = None,
    max_latency_ms: Annotated[
        float | None, typer.Option(help="Limit on the median latency of one batch.")
    ] = None,
    max_size_mb: Annotated[
        float | None, typer.Option(help="Limit on the size of all files, MB of 10^6 bytes.")
    ] = None,
    max_accuracy_drop: Annotated[
        float | None, typer.Option(help="Limit on the loss of quality, in points (hundredths).")
    ] = None,
    max_memory_mb: Annotated[
        float | None, typer.Option(help="Limit on peak memory over the bare runtime.")
    ] = None,
    max_download_mb: Annotated[
        float | None, typer.Option(help="Limit on the size of all files, compressed.")
    ] = None,
    trials: Annotated[int | None, typer.Option(help="Finished trials of the study.")] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds that this call may search.")
    ] = None,
    sampler: Annotated[str | None, typer.Option(help="auto, tpe, nsgaii, gp or random.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random draw.")] = None,
    batch_size: options.BatchSize = None,
    threads: options.Threads = None,
    target_hardware: options.Hardware = None,
    storage: Annotated[
        str | None, typer.Option(help="Optuna storage URL; default: study.db in the run's folder.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the outputs; default: runs/NAME.")
    ] = None,
    trust_pickle: options.TrustPickle = False,
    json: options.Json = False,
) -> None:
    """Search for the best compressed form of a model.

    An interrupted search goes on where it was when the same command is given again. Exit codes:
    0 a winner was confirmed, 2 something given was wrong, 3 nothing keeps the limits, 130
    interrupted.
    """
    from hamerspace.cli.outcome import print_outcome
    from hamerspace.study import Study

    flags: dict[str, Any] = {
        "data": data,
        "weights": weights,
        "metric": metric,
        "direction": direction,
        "space": space,
        "objectives": options.words("--objectives", objectives),
        "max_latency_ms": max_latency_ms,
        "max_size_mb": max_size_mb,
        "max_accuracy_drop": max_accuracy_drop,
        "max_memory_mb": max_memory_mb,
        "max_download_mb": max_download_mb,
        "trials": trials,
        "timeout_s": timeout,
        "sampler": sampler,
        "seed": seed,
        "batch_size": batch_size,
        "threads": threads,
        "hardware": target_hardware,
    }
    common: dict[str, Any] = {
        "out": out,
        "storage": storage,
        "backends": options.backend_names(backends),
        "trust_pickle": trust_pickle,
    }
    if options.is_study(target, input=inputs):
        study = Study.from_yaml(target, **common, **flags)
    else:
        study = Study.from_model(
            target,
            inputs=tuple(inputs or ()),
            **common,
            **flags,
        )
    searching(study)
    print_outcome(study, as_json=json)
    if study.best is None:
        raise typer.Exit(NOTHING_FEASIBLE)


def searching(study: "Study") -> None:
    """Search with a display of how it goes on.

    Raises:
        typer.Exit: The search was interrupted.
    """
    from hamerspace.cli.progress import progress_display

    with progress_display(study) as display:
        try:
            study.optimize(listener=display)
        except (KeyboardInterrupt, SystemExit) as ended:
            display.interrupted()
            raise typer.Exit(_exit_code(ended)) from ended


def _exit_code(ended: BaseException) -> int:
    """130 for SIGINT; what the handler of another signal chose otherwise."""
    code = getattr(ended, "code", None)
    return code if isinstance(code, int) else INTERRUPTED
