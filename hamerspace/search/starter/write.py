"""Write a study file and the code beside it for one model."""

import importlib.util
import json
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hamerspace._files import replacing
from hamerspace.build.builder import describe
from hamerspace.config.study import LoadedStudy, study_schema
from hamerspace.errors import ConfigError
from hamerspace.search.export import fixed_batch
from hamerspace.search.starter.text import Facts, study_text, task_text
from hamerspace.space.catalog import choose_space
from hamerspace.targets import TARGETS
from hamerspace.tasks.data.reading import read_npz
from hamerspace.tasks.judged import are_several, judged_output
from hamerspace.tasks.metrics.resolve import default_metric, resolve_metric
from hamerspace.tasks.model import SourceInfo
from hamerspace.tasks.user_code import reference_file

STUDY_FILE = "study.yaml"
SCHEMA_FILE = "study.schema.json"


@dataclass(frozen=True)
class Starter:
    """A study that was written.

    Attributes:
        folder: Holds its files.
        files: Names of those that were written.
        info: What the model revealed.
        space: The space that ``auto`` takes for it.
        space_reason: Why.
        random_data: Whether random data stand in until the user loads others.
    """

    folder: Path
    files: tuple[str, ...]
    info: SourceInfo
    space: str
    space_reason: str
    random_data: bool

    @property
    def study(self) -> Path:
        """The study file."""
        return self.folder / STUDY_FILE


def write_starter(
    loaded: LoadedStudy, output: Path | None = None, *, force: bool = False, schema: bool = False
) -> Starter:
    """Read a model and write a study for it that runs as it stands.

    Args:
        loaded: The study as flags alone describe it; its paths start from the current folder.
        output: The folder to write into; default: ``NAME-study``, or the current folder where the
            module of a builder or a loader lies in it, since modules start from the study's folder.
        force: Write over files that stand there.
        schema: Write the JSON Schema beside the study and name it in the first line.

    Raises:
        ConfigError: A file stands there, the study cannot stand in this folder, or there is no such
            metric.
        RunFolderError: The folder cannot be written.
        SourceError: The model cannot be read or run.
        DataError: The data cannot be read, or do not fit the model.
    """
    folder = _folder(loaded, output)
    module = _module(loaded)
    data = loaded.config.task.data
    loads = data is not None and data.load is not None
    files = [STUDY_FILE, *([] if loads else [f"{module}.py"]), *([SCHEMA_FILE] if schema else [])]
    taken = [name for name in files if (folder / name).exists()]
    if taken and not force:
        raise ConfigError(
            f"{folder}: there is {' and '.join(taken)} already; name another folder with "
            "--output, or --force to write over it"
        )
    info, quality = describe(loaded), loaded.config.task.quality
    if quality.metric is not None:
        # Whether the data have the labels that it needs, their loader tells.
        judged = judged_output(quality.output, info).rows_first
        resolve_metric(quality, np.zeros(1, int), judged.shape, loaded.root)
        _refuse_absent(quality.metric, loaded.root)
    target = TARGETS.load(loaded.config.target.name)(1, 1.0)
    space, why = choose_space(info, loaded.config.target.hardware, target.host().machine)
    facts = _facts(loaded, folder, info, module, (space, why), SCHEMA_FILE if schema else "")
    texts = {
        STUDY_FILE: lambda: study_text(facts),
        f"{module}.py": lambda: task_text(facts),
        SCHEMA_FILE: lambda: json.dumps(study_schema(), indent=2) + "\n",
    }
    with ExitStack() as stack:
        for name in files:
            stack.enter_context(replacing(folder / name)).write_text(
                texts[name](), encoding="utf-8"
            )
    return Starter(folder, tuple(files), info, space, why, data is None)


def _refuse_absent(metric: str, root: Path) -> None:
    """Refuse a function whose module nobody has; what is in it, the search will find out."""
    module, function, _ = metric.partition(":")
    if not function or reference_file(metric, root) is not None:
        return
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        raise ConfigError(
            f"task.quality.metric: no module '{module}' in {root} or among the installed packages"
        )


def _folder(loaded: LoadedStudy, output: Path | None) -> Path:
    beside = [r for r in loaded.references if reference_file(r, loaded.root) is not None]
    if not beside:
        return output or Path(f"{loaded.config.name}-study")
    if output is not None and output.absolute() != loaded.root:
        raise ConfigError(
            f"--output: the module of '{beside[0]}' lies in {loaded.root}, and a study's modules "
            "start from its own folder; leave --output out to write the study there"
        )
    return Path()


def _module(loaded: LoadedStudy) -> str:
    """Name of the loader's module: the user's, or one to write that is not there already."""
    task = loaded.config.task
    if task.data is not None and task.data.load is not None:
        return task.data.load.partition(":")[0]
    taken = {(r or "").partition(":")[0] for r in (task.source.builder, task.quality.metric)}
    return "task_data" if "task" in taken else "task"


def _facts(
    loaded: LoadedStudy,
    folder: Path,
    info: SourceInfo,
    module: str,
    space: tuple[str, str],
    schema: str,
) -> Facts:
    labels = None if loaded.data_path is None else _labels(loaded.data_path)
    named = loaded.config.task.quality.output
    output, several = judged_output(named, info).rows_first, are_several(named, info)
    return Facts(
        loaded=loaded,
        info=info,
        study=str(folder / STUDY_FILE),
        module=module,
        schema=schema,
        path=_relative(loaded.source_path, folder),
        weights=_relative(loaded.weights_path, folder),
        data=_relative(loaded.data_path, folder),
        metric=default_metric(labels, output.shape, several=several),
        metric_with_classes=default_metric(np.zeros(1, int), output.shape),
        has_labels=labels is not None,
        batch_size=fixed_batch(info.inputs) or loaded.config.task.batch_size,
        space=space[0],
        space_reason=space[1],
    )


def _labels(data: Path) -> "np.ndarray | None":
    splits = read_npz(data)
    split = splits.get("search") or next(iter(splits.values()))
    return split.get("labels")


def _relative(path: Path | None, folder: Path) -> str | None:
    return None if path is None else os.path.relpath(path, folder.absolute())
