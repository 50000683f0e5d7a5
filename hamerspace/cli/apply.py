"""``hamerspace apply``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hamerspace import _numbers
from hamerspace._numbers import amount, limit_title
from hamerspace.cli import completion, options
from hamerspace.cli.console import console, print_json, print_notes, say
from hamerspace.quantities import Metric

if TYPE_CHECKING:
    from hamerspace.search.apply import Applied


@options.of_study(
    *options.TASK,
    *("batch_size", "threads", "target_hardware", "seed", "build_timeout_s", "trust_pickle"),
)
def apply(
    recipe: Annotated[
        Path,
        typer.Argument(
            help="A recipe.json; or the folder of an exported model, or of a run, whose winner "
            "is meant.",
            autocompletion=completion.run_folders,
        ),
    ],
    target: options.Target,
    folder: Annotated[Path, typer.Option("--output", help="A new folder for the model.")],
    *,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure the result beside the source model.")
    ] = False,
    json: options.Json = False,
    **given: Any,
) -> None:
    """Build a recipe from a model, such as a search's winner from the next version of that model.

    The recipe is held against the model, this machine and the data first: what cannot work is
    named with the reason, and nothing is built. The folder is as 'hamerspace export' writes it.
    With the same model, data and seed as in the search, the files are the same.
    """
    from hamerspace.build.store import Store, default_store_folder
    from hamerspace.cli.target import study_of
    from hamerspace.search.apply import apply_recipe, read_recipe

    wanted = read_recipe(recipe)
    study = study_of(target, given)
    store = Store(default_store_folder())

    def watch(phase: str) -> None:
        say(f"{phase} ...", stderr=True)

    applied = apply_recipe(study.loaded, wanted, folder, store, measure=measure, watch=watch)
    if json:
        print_json(_document(applied))
    else:
        _print(applied)


def _print(applied: "Applied") -> None:
    out = console()
    print_notes(out, applied.warnings, applied.notes)
    out.print(f"{applied.label}: {amount('size_mb', applied.size_mb)}")
    if applied.measurement is not None:
        for line in _figures(applied):
            out.print(line)
    out.print(f"{applied.folder}: {', '.join(applied.files)}", soft_wrap=True)


def _figures(applied: "Applied") -> list[str]:
    """What was measured, and how each limit fares."""
    measurement = applied.measurement
    assert measurement is not None
    latency, quality = measurement.latency, measurement.quality
    lines = []
    if latency is not None:
        speed = _numbers.gain("latency_ms", latency.ratio.estimate)
        speed += "" if speed == "same" else " than the source"
        lines.append(f"latency {amount('latency_ms', latency.latency_ms.estimate)} ({speed})")
    if quality is not None:
        metric = Metric("quality", drop_unit=applied.drop_unit)
        drop = _numbers.drop_of(measurement.values(), metric)
        lines.append(f"{applied.metric} {_numbers.quality(quality.value, metric)} (drop {drop})")
    lines += [f"{limit_title(n)} limit: {v}" for n, v in applied.verdicts.items()]
    return lines


def _document(applied: "Applied") -> dict[str, Any]:
    told = {k: v for k, v in vars(applied).items() if k not in ("recipe", "drop_unit")}
    recipe = {"recipe_id": applied.recipe.id, "parameters": applied.recipe.parameters}
    return {**told, **recipe, "metric": applied.metric or None}
