"""Inspect the source model and the data of a study once, before any trial."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hamerspace.config.study import LoadedStudy, QualitySection, SourceSection
from hamerspace.errors import ConfigError, DataError, MetricError, SourceError
from hamerspace.tasks.data.fit import check_fits
from hamerspace.tasks.data.prepare import prepare_data
from hamerspace.tasks.data.reading import RawData, read_data
from hamerspace.tasks.data.splits import Array, Splits
from hamerspace.tasks.data.synthetic import random_data
from hamerspace.tasks.fingerprint import folder_fingerprint, named_paths, update_with_code
from hamerspace.tasks.inputs import rows_not_finite
from hamerspace.tasks.judged import are_several, judged_notes, judged_output, trusting
from hamerspace.tasks.metrics import Metric
from hamerspace.tasks.metrics.labels import without_ignored
from hamerspace.tasks.metrics.resolve import METRIC_KEY, resolve_metric, training_loss
from hamerspace.tasks.model import SourceInfo, TensorSpec, shape_text
from hamerspace.tasks.reads import digests, noted_reads
from hamerspace.tasks.sources import SourceSpec, open_source
from hamerspace.tasks.sources.base import as_declared
from hamerspace.tasks.task import TASK_FILE
from hamerspace.tasks.user_code import SESSION, load_function, noted_warnings, reference_file

_MORE_ROWS = 3
"""Past a batch; as many as are tried where the batch is free."""
_CONFIRMING_ROWS = 256
"""Of which an output that is always the same is known by."""


def prepare_task(loaded: LoadedStudy, folder: Path) -> None:
    """Write a task into an empty folder.

    Raises:
        SourceError: The model cannot be read or run.
        DataError: The data are malformed or do not fit the model.
        MetricError: The metric cannot judge the model's output, or not by these labels.
        ConfigError: A reference leads nowhere, or what judges or trains needs labels that are
            not there.
    """
    task = loaded.config.task
    seed = loaded.config.search.seed
    with noted_warnings(loaded.root) as warned, noted_reads() as reads:
        raw, given, example = _read(loaded)
    labels, left_out = None if task.data is None else task.data.labels, list[str]()
    (folder / "source").mkdir()
    (folder / "data").mkdir()
    spec = _source_spec(task.source, loaded)
    with noted_reads() as of_source:
        _, info = open_source(spec, example, folder / "source")
    info = trusting(info, _labels(raw, labels), metric=task.quality.metric)
    named = tuple(named_paths(loaded).values())
    own = {path for path in reads | of_source if not any(map(path.is_relative_to, named))}
    read = digests(own, loaded.root)
    output = judged_output(task.quality.output, info).rows_first
    if raw is None:
        varying = tuple(spec for spec in info.inputs if not spec.constant)
        varying = as_declared(varying, spec.inputs)
        splits = random_data(varying, folder / "data", seed, task.batch_size)
    else:
        assert task.data is not None
        if not _is_users(task.quality):
            raw, left_out = without_ignored(raw, str(labels), output)
        splits = prepare_data(
            raw,
            str(labels),
            folder / "data",
            seed,
            task.batch_size,
            whole_batches=task.data.whole_batches,
        )
    splits = splits.with_constants(
        {spec.name: given.get(spec.name, spec.zeros()) for spec in info.inputs if spec.constant}
    )
    check_fits(splits, info)
    several = are_several(task.quality.output, info)
    oddities = [*_oddity_notes(splits, output, info)]
    try:
        metric = _checked_metric(task.quality, splits, output, loaded.root, several=several)
    except MetricError as error:
        told = [*judged_notes(task.quality.output, info), *oddities]
        raise MetricError("; ".join([str(error), *told])) from error
    together = metric is not None and metric.all_outputs
    told = [*judged_notes(task.quality.output, info, together=together), *oddities]
    of_labels = (*_loss_notes(task.quality, metric, splits, output), *_remarks(metric, splits))
    notes = (*of_labels, *told, *left_out, *info.details.get("notes", ()))
    splits.with_notes(notes, tuple(warned))
    value = {
        "info": info.to_dict(),
        "quality": task.quality.model_dump(mode="json"),
        "root": str(loaded.root),
        "batch_size": task.batch_size,
        "source_fingerprint": _fingerprint(folder / "source", spec, read),
        "content": folder_fingerprint(folder),
        "reads": read,
    }
    (folder / TASK_FILE).write_text(json.dumps(value, indent=1))


def inspect_source(loaded: LoadedStudy, folder: Path) -> SourceInfo:
    """Read the source model of a study and run it once, whatever its data are worth.

    Args:
        loaded: The study. Of its data only the first rows are looked at.
        folder: An empty folder, for a copy of the model.

    Raises:
        SourceError: The model cannot be read or run.
        DataError: The data cannot be read, or the model does not take them.
        ConfigError: A reference leads nowhere.
    """
    raw, _, example = _read(loaded)
    task = loaded.config.task
    _, info = open_source(_source_spec(task.source, loaded), example, folder)
    labels = _labels(raw, None if task.data is None else task.data.labels)
    return trusting(info, labels, metric=task.quality.metric)


def _labels(raw: RawData | None, name: str | None) -> Array | None:
    """Those of the first split that has any."""
    return next((arrays[name] for arrays in (raw or {}).values() if name in arrays), None)


def _read(
    loaded: LoadedStudy,
) -> tuple[RawData | None, dict[str, Any], dict[str, Any] | None]:
    """The data, the constants among them, and one batch of both; ``None`` without data."""
    task = loaded.config.task
    if task.data is None:
        return None, {}, None
    raw, given = _without_constants(read_data(task.data, loaded.root), task.source.constants)
    return raw, given, _example(raw, task.data.labels, task.batch_size + _MORE_ROWS) | given


def _checked_metric(
    quality: QualitySection, splits: Splits, output: TensorSpec, root: Path, *, several: bool
) -> Metric | None:
    """The metric, where it is known to suit the output and the labels.

    ``None`` stands for a function of the user's, which is there but says nothing about shapes; only
    the process of a Python session has those that were given in it.
    """
    if _is_users(quality):
        reference = str(quality.metric)
        if not reference.startswith(f"{SESSION}:"):
            resolve_metric(quality, splits.labels_of("search"), output.shape, root)
            load_function(reference, root, METRIC_KEY)
        return None
    labels = splits.labels_of("search")
    metric = resolve_metric(quality, labels, output.shape, root, output.dtype, several=several)
    for split in ("search", "confirm"):
        truth = splits.labels_of(split) if metric.needs_labels else None
        metric.check(output.shape, truth, output.dtype)
    return metric


def _is_users(quality: QualitySection) -> bool:
    return quality.metric is not None and ":" in quality.metric


def _remarks(metric: Metric | None, splits: Splits) -> Iterator[str]:
    for split in ("search", "confirm"):
        labels = splits.labels_of(split)
        if metric is not None and metric.needs_labels and labels is not None:
            remark = metric.remark(labels)
            if remark:
                yield f"In the labels of '{split}' {remark}."


def _loss_notes(
    quality: QualitySection, metric: Metric | None, splits: Splits, output: TensorSpec
) -> Iterator[str]:
    """That labels to train on are there and go unused, if so."""
    if "train" not in splits.names:
        return
    labels = splits.labels_of("train")
    if labels is None and quality.loss not in (None, "none"):
        raise ConfigError(
            f"task.quality.loss: '{quality.loss}' learns from labels, and the train split has "
            "none; add them, or leave the loss out"
        )
    unused = metric is not None and not metric.needs_labels
    if labels is None or quality.loss is not None or unused:
        return
    if training_loss(metric, labels, output.shape, output.dtype) == "none":
        given = f"{labels.dtype}{shape_text((None, *labels.shape[1:]))}"
        yield (
            f"No loss fits labels of {given} and the output {output}, so training learns from the "
            "source model alone; set task.quality.loss to learn the labels by 'cross_entropy', "
            "'binary_cross_entropy' or 'mse'."
        )


def _source_spec(section: SourceSection, loaded: LoadedStudy) -> SourceSpec:
    inputs = tuple(
        TensorSpec(name, value.dtype, tuple(value.shape)) for name, value in section.inputs.items()
    )
    return SourceSpec(
        section.format,
        loaded.source_path,
        section.builder,
        loaded.weights_path,
        loaded.root,
        inputs,
        loaded.trust_pickle,
        section.constants,
        loaded.config.task.batch_size,
    )


def _example(raw: Mapping[str, Mapping[str, Any]], labels: str, rows: int) -> dict[str, Any]:
    """The first rows of the inputs of one split: a batch, and others to tell it from."""
    split = raw.get("search", next(iter(raw.values())))
    scalar = next((n for n, a in split.items() if a.ndim == 0 and n != labels), None)
    if scalar is not None:
        raise DataError(
            f"array '{scalar}': is a single number; the first dimension must be the rows (or is "
            f"this an input without rows? then list it under task.source as constants: [{scalar}])"
        )
    inputs = {name: array for name, array in split.items() if name != labels}
    # Rows with NaN or infinity come first: whether the model takes them, its answers tell.
    odd = set[int]()
    for array in inputs.values():
        odd.update(np.flatnonzero(rows_not_finite(array))[:_MORE_ROWS].tolist())
    if not odd:
        return {name: array[: rows + _CONFIRMING_ROWS] for name, array in inputs.items()}
    first = list(dict.fromkeys([*sorted(odd), *range(rows)]))[:rows]
    return {
        name: array[[row for row in first if row < len(array)]] for name, array in inputs.items()
    }


def _oddity_notes(splits: Splits, output: TensorSpec, info: SourceInfo) -> Iterator[str]:
    """That inputs hold NaN or infinity, which is well where the model answers with numbers.

    Raises:
        DataError: It answers with NaN.
    """
    for name in splits.inputs:
        rows = sum(rows_not_finite(splits.arrays(split)[name]).sum() for split in splits.names)
        if not rows:
            continue
        found = f"array '{name}' holds NaN or infinity in {rows:,} rows"
        if output.name in info.findings.undefined:
            raise DataError(
                f"{found}, and the model's output '{output.name}' is NaN for the first of them; "
                "clean the data, or give the model what it does with such values"
            )
        yield f"A{found[1:]}; the model answers the first of them with numbers."
    if output.name in info.findings.undefined:
        raise SourceError(
            f"the source model's output '{output.name}' is NaN for the first rows; check its "
            "weights, and how the data were prepared"
        )


def _without_constants(raw: RawData, constants: Sequence[str]) -> tuple[RawData, dict[str, Any]]:
    """The data without the arrays that have no rows, and these by name."""
    found = {n: a for arrays in raw.values() for n, a in arrays.items() if n in constants}
    rest = {
        split: {n: a for n, a in arrays.items() if n not in constants}
        for split, arrays in raw.items()
    }
    return rest, found


def _fingerprint(source: Path, spec: SourceSpec, reads: Mapping[str, str] | None = None) -> str:
    digest = hashlib.sha256(folder_fingerprint(source).encode())
    if spec.builder is not None:
        file = reference_file(spec.builder, spec.root)
        digest.update(spec.builder.encode() if file is None else file.read_bytes())
    if spec.builder is not None or spec.trust_pickle:
        update_with_code(digest, spec.root)
        digest.update(json.dumps(reads or {}).encode())
    return digest.hexdigest()
