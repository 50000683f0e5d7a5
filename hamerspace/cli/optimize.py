"""``hamerspace optimize``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hamerspace.cli import completion, options
from hamerspace.cli.search import end_without_winner, searching
from hamerspace.errors import HamerspaceError

if TYPE_CHECKING:
    from hamerspace.optimizer import OptimizationResult, SavedModel


def optimize(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A model file, a model's folder, or module:function; or a study.yaml.",
        ),
    ],
    goal: options.Goal = None,
    size: Annotated[float | None, typer.Option(help="At most so many MB of files.")] = None,
    latency: Annotated[
        float | None, typer.Option(help="At most so many ms for one batch, median.")
    ] = None,
    accuracy_drop: Annotated[
        float | None, typer.Option(help="At most so many points of quality lost.")
    ] = None,
    memory: Annotated[
        float | None, typer.Option(help="At most so many MB of memory over the bare runtime.")
    ] = None,
    download: Annotated[
        float | None, typer.Option(help="At most so many MB of files, compressed.")
    ] = None,
    target_hardware: options.Hardware = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Write the model here. A suffix (.onnx, .xml, .tflite, .pt, .pt2, .so) restricts "
            "the search to runtimes that take such files; .keras takes a student of a Keras model; "
            "without one it is a new folder."
        ),
    ] = None,
    data: options.Data = None,
    inputs: options.Inputs = None,
    weights: options.Weights = None,
    metric: options.Metric = None,
    direction: options.Direction = None,
    output_name: options.OutputName = None,
    batch_size: options.BatchSize = None,
    space: Annotated[
        str | None,
        typer.Option(
            help="A space's name or file; default: by model and hardware.",
            autocompletion=completion.spaces,
        ),
    ] = None,
    backends: options.Backends = None,
    trials: Annotated[int | None, typer.Option(help="Finished trials; default: 40.")] = None,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds that this call may search.")
    ] = None,
    seed: options.Seed = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default: runs/NAME.")] = None,
    force: options.Force = False,
    no_history: options.NoHistory = False,
    trust_pickle: options.TrustPickle = False,
    json: options.Json = False,
) -> None:
    """Compress a model: say what it must keep, get the best that does.

    It is ``search`` in its shortest form: goal and hardware choose the space. An interrupted call
    goes on where it was. Exit codes: 0 a winner was confirmed, 2 something given was wrong, 3
    nothing keeps the limits, 4 nothing beats the source model, 130 interrupted.
    """
    given = locals()
    from hamerspace.cli.target import study_of
    from hamerspace.config.flags import merged
    from hamerspace.constraints import Constraints
    from hamerspace.optimizer import OptimizationResult
    from hamerspace.optimizer.optimizer import MODEL_FLAGS, study_flags
    from hamerspace.search.export import new_folder, refuse_unwritable
    from hamerspace.search.saving import refuse_sources
    from hamerspace.search.suffixes import able_backends, refuse_suffix
    from hamerspace.study import Study

    limits = Constraints(
        max_size_mb=size,
        max_latency_ms=latency,
        max_accuracy_drop=accuracy_drop,
        max_memory_mb=memory,
        max_download_mb=download,
    )
    before = merged({} if options.is_study(model) else MODEL_FLAGS, study_flags(goal, limits))
    suffix = None if output is None else output.suffix or None
    if output is not None:  # refused now rather than after the search
        if suffix is None:
            new_folder(output)
        else:
            refuse_unwritable(output)
    asked = options.backend_names(backends)
    if suffix is not None:
        refuse_suffix(suffix, asked)
    study = study_of(model, given, backends=asked, before=before)
    if output is not None:
        refuse_sources(output, study.loaded)
    if suffix is not None:
        able = able_backends(study.loaded, suffix, asked)
        study = Study(study.loaded, study.folder.path, backends=able)
    searching(study, force=force)
    result = OptimizationResult(study)
    saved, failure = None, None
    if output is not None and result.succeeded:
        try:
            saved = result.save_model(output)
        except HamerspaceError as error:
            failure = error  # told after what the search has found
    _print(result, saved, as_json=json)
    if failure is not None:
        raise failure
    end_without_winner(study)


def _print(result: "OptimizationResult", saved: "SavedModel | None", *, as_json: bool) -> None:
    from hamerspace.cli.console import console, print_json
    from hamerspace.cli.outcome import outcome_document

    if as_json:
        files = [] if saved is None else [str(path) for path in saved.files]
        print_json({**outcome_document(result.study), "saved": files})
        return
    out = console()
    out.print(str(result.report), soft_wrap=not out.is_terminal)
    if saved is not None:
        other = "" if saved.winner else f" (trial {saved.trial}, the best in this format)"
        names = ", ".join(str(path) for path in saved.files[:4])
        out.print(f"saved: {names}{other}", soft_wrap=True)
    elif result.succeeded:
        out.print(f"winner: {result.study.folder.best}", soft_wrap=True)
    out.print(f"report: {result.study.folder.report}", soft_wrap=True)
