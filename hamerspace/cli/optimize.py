"""``hamerspace optimize``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hamerspace.cli import options
from hamerspace.cli.console import console, print_json
from hamerspace.cli.search import end_without_winner, searching
from hamerspace.constraints import Constraints
from hamerspace.errors import HamerspaceError

if TYPE_CHECKING:
    from hamerspace.optimizer import OptimizationResult, SavedModel


@options.of_study(
    *("goal", options.SHORT_LIMITS, "target_hardware"),
    *options.TASK,
    *("batch_size", "space", "backends", "trials", "timeout_s", "seed"),
    *("no_history", "trust_pickle"),
    space="A space's name or file; default: by model and hardware.",
)
def optimize(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A model file, a model's folder, or module:function; or a study.yaml.",
        ),
    ],
    saved_to: Annotated[
        Path | None,
        typer.Option(
            "--output",
            help="Write the model here. A suffix (.onnx, .xml, .tflite, .pt, .pt2, .so) restricts "
            "the search to runtimes that take such files; .keras takes a student of a Keras model; "
            "without one it is a new folder.",
        ),
    ] = None,
    *,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default: runs/NAME.")] = None,
    force: options.Force = False,
    json: options.Json = False,
    **given: Any,
) -> None:
    """Compress a model: say what it must keep, get the best that does.

    It is ``search`` in its shortest form: goal and hardware choose the space. An interrupted call
    goes on where it was. Exit codes: 0 a winner was confirmed, 2 something given was wrong, 3
    nothing keeps the limits, 4 nothing beats the source model, 130 interrupted.
    """
    from hamerspace.cli.target import study_of
    from hamerspace.config.flags import merged
    from hamerspace.config.settings import limits
    from hamerspace.optimizer import OptimizationResult
    from hamerspace.optimizer.optimizer import MODEL_FLAGS, study_flags
    from hamerspace.search.export import new_folder, refuse_unwritable
    from hamerspace.search.saving import refuse_sources
    from hamerspace.search.suffixes import able_backends, refuse_suffix
    from hamerspace.study import Study

    before = merged(
        {} if options.is_study(model) else MODEL_FLAGS,
        study_flags(given["goal"], Constraints(**{name: given[name] for name in limits()})),
    )
    suffix = None if saved_to is None else saved_to.suffix or None
    if saved_to is not None:  # refused now rather than after the search
        if suffix is None:
            new_folder(saved_to)
        else:
            refuse_unwritable(saved_to)
    asked = options.backend_names(given["backends"])
    refuse_suffix(suffix, asked)
    study = study_of(model, given, out=out, before=before)
    if saved_to is not None:
        refuse_sources(saved_to, study.loaded)
    able = able_backends(study.loaded, suffix, asked)
    study = Study(study.loaded, study.folder.path, backends=able)
    searching(study, force=force)
    result = OptimizationResult(study)
    saved, failure = None, None
    if saved_to is not None and result.succeeded:
        try:
            saved = result.save_model(saved_to)
        except HamerspaceError as error:
            failure = error  # told after what the search has found
    _print(result, saved, as_json=json)
    if failure is not None:
        raise failure
    end_without_winner(study)


def _print(result: "OptimizationResult", saved: "SavedModel | None", *, as_json: bool) -> None:
    from hamerspace.cli.outcome import outcome_document

    if as_json:
        files = () if saved is None else saved.files
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
