"""Build a given recipe from a model: the same, or another of its kind."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from hamerspace.build.store import Store
from hamerspace.config.study import LoadedStudy
from hamerspace.errors import BuildError, ConfigError, DataError, SessionError
from hamerspace.measure.latency import timed_in_pairs
from hamerspace.outcome.confirmed import Verdict, verdicts_of
from hamerspace.outcome.measurement import Measurement
from hamerspace.outcome.record import left_in_float_text
from hamerspace.recipe import Recipe
from hamerspace.search.export import Deployment, export_candidate, new_folder
from hamerspace.search.prepared import Prepared
from hamerspace.search.run_folder import RUN_FILE
from hamerspace.search.workbench import Workbench
from hamerspace.space.check import calibrated_by, check_recipe
from hamerspace.space.describe import recipe_label, stored_precisions
from hamerspace.tasks.task import Task

RECIPE_FILE = "recipe.json"


@dataclass(frozen=True)
class Applied:
    """A recipe that was built anew.

    Attributes:
        recipe: With the defaults of what was left out.
        folder: Holds the model, ``recipe.json`` and ``predict.py``.
        files: Names of all files in it.
        size_mb: Of the files that the runtime needs, MB of 10^6 bytes.
        label: Its short name, with the precision of the source where nothing is quantised.
        warnings: What nobody may overlook.
        notes: What else to know of the data and the result.
        measurement: In full, on the confirm split; ``None`` where it was not asked for.
        source: The source model's own, beside it.
        metric: Name of the metric; empty without a measurement.
        drop_unit: Unit of the drop: ``points``, or ``%`` of the source's value.
        verdicts: Limit to whether it is kept.
        environment: Where it was measured.
    """

    recipe: Recipe
    folder: Path
    files: tuple[str, ...]
    size_mb: float
    label: str
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    measurement: Measurement | None = None
    source: Measurement | None = None
    metric: str = ""
    drop_unit: Literal["points", "%"] = "points"
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


def read_recipe(path: Path) -> Recipe:
    """Read a ``recipe.json``, or that of an exported model's folder, or of a run's winner.

    Raises:
        ConfigError: There is none, or it is damaged; the message names the file.
    """
    candidates = [path / RECIPE_FILE, path / "best" / RECIPE_FILE] if path.is_dir() else [path]
    file = next((p for p in candidates if p.is_file()), None)
    if file is None:
        if (path / RUN_FILE).is_file():
            raise ConfigError(
                f"{path}: this run has no winner; export a trial of it (hamerspace export {path} "
                "--trial N --output FOLDER) and give that folder"
            )
        what = f"there is no {RECIPE_FILE} in it" if path.is_dir() else "no such file"
        raise ConfigError(f"{path}: {what}; give a {RECIPE_FILE}, or the folder of a run")
    try:
        return Recipe.from_json(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{file}: is no recipe; give a {RECIPE_FILE}, or the folder of a run, before the model"
        ) from error
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from error


def apply_recipe(
    loaded: LoadedStudy,
    recipe: Recipe,
    output: Path,
    store: Store,
    *,
    measure: bool = False,
    watch: Callable[[str], None] = lambda _: None,
) -> Applied:
    """Build a recipe from a study's model, as a search would, and export it.

    Args:
        loaded: The model, and the data that calibrate, train and judge.
        recipe: What to do.
        output: A new folder.
        store: Results of build stages.
        measure: Measure the result in full, beside the source model.
        watch: Is told what is being done.

    Raises:
        ConfigError: The recipe does not suit this model, this host or these data.
        BackendUnavailableError: Its runtime is unknown or not installed.
        BuildError: It cannot be built from this model.
        RunFolderError: The folder is taken.
    """
    folder = new_folder(output)
    with Prepared(loaded, store) as prepared:
        watch("reading the model and the data")
        task, hardware = prepared.task, loaded.config.target.hardware
        recipe = check_recipe(recipe, task.info, prepared.host, task.loss, hardware)
        _refuse_random_calibration(recipe, task)
        with Workbench(prepared) as bench:
            return _applied(bench, recipe, folder, measure=measure, watch=watch)


def _applied(
    bench: Workbench, recipe: Recipe, folder: Path, *, measure: bool, watch: Callable[[str], None]
) -> Applied:
    """What a recipe that suits the task comes to, exported into a folder."""
    task, limits = bench.prepared.task, bench.prepared.constraints
    watch("building")
    built = bench.build(recipe)
    if built.candidate is None:
        raise BuildError(f"the recipe cannot be built from this model: {built.error}")
    if measure:
        watch("measuring it beside the source model")
    measurement = bench.confirm(recipe) if measure else None
    if measurement is not None and measurement.failed:
        raise BuildError(f"the built model does not run: {measurement.reason}")
    data_matter = measure or bool(calibrated_by(recipe))
    warnings = task.splits.warnings if data_matter else ()
    if measurement is not None:
        try:
            measurement = timed_in_pairs(measurement, partial(bench.time_afresh, recipe))
        except SessionError as error:
            # What was built ran and was measured once, and is not thrown away.
            warnings += (f"TIMED IN ONE PROCESS: a fresh pair of them failed: {error}",)
    left = left_in_float_text(built.candidate.metadata.get("left_in_float", ()))
    deployment = Deployment(task.batch_size, bench.config.target.threads)
    export_candidate(built.candidate, recipe, measurement, deployment, folder)
    measured: dict[str, Any] = {}
    if measurement is not None:
        measured = {
            "measurement": measurement,
            "source": bench.source_measurement,
            "metric": bench.metric.name,
            "drop_unit": bench.drop_unit,
            "verdicts": verdicts_of(measurement, limits),
            "environment": bench.prepared.target.environment(),
        }
    return Applied(
        recipe,
        folder,
        tuple(sorted(path.name for path in folder.iterdir())),
        built.candidate.size_bytes / 1e6,
        recipe_label(recipe, stored_precisions(task.info)),
        warnings,
        (*(task.splits.notes if data_matter else ()), *([f"Layers are {left}."] if left else [])),
        **measured,
    )


def _refuse_random_calibration(recipe: Recipe, task: Task) -> None:
    """Ranges of random inputs say nothing of real ones, so nothing is shipped with them."""
    calibrated = calibrated_by(recipe)
    if task.splits.synthetic and calibrated:
        raise DataError(
            f"the recipe needs calibration data ({', '.join(calibrated)}) and there are none; give "
            "--data FILE.npz"
        )
