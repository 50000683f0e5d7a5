"""Choose the metric that a study names, or the one that suits its labels and output."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from hamerspace.config.study import QualitySection
from hamerspace.errors import ConfigError, did_you_mean
from hamerspace.tasks.metrics import METRICS
from hamerspace.tasks.metrics.base import (
    Array,
    Direction,
    Loss,
    Metric,
    PerSample,
    Shape,
    one_value_a_row,
    same_rows,
)
from hamerspace.tasks.user_code import SESSION, UserFunction, load_function

METRIC_KEY = "task.quality.metric"


class FunctionMetric(Metric):
    """A user's ``function(outputs, labels)``: one number, or one a row, ``[N]``, to be averaged.

    One a row lets candidates be paired with the source model row by row, without a bootstrap.
    """

    drop_unit = None

    def __init__(
        self, reference: str, function: Callable[[Array, Array], Any], direction: Direction
    ) -> None:
        module, _, name = reference.partition(":")
        # The name of a session's function ends in a digest of its code, which nobody wants to read.
        self.name = name.rpartition("_")[0] if module == SESSION else reference
        self.direction = direction
        self._function = function

    def compute(self, outputs: Array, reference: Array) -> Any:
        result = self._function(outputs, reference)
        return result.mean() if _one_a_row(result, outputs) else result

    def compute_per_sample(self, outputs: Array, reference: Array) -> PerSample | None:
        result = self._function(outputs, reference)
        return result if _one_a_row(result, outputs) else None


def _one_a_row(result: Any, outputs: Array) -> TypeGuard[PerSample]:
    return isinstance(result, np.ndarray) and result.shape == (len(outputs),)


def resolve_metric(
    quality: QualitySection, labels: Array | None, output_shape: Shape, root: Path
) -> Metric:
    """The metric of a study.

    Left out it is roc_auc for one score a row with labels 0 and 1, accuracy for other integer
    labels, rmse for others; without labels agreement for an output ``[N, classes]``, fidelity_r2
    for one value a row, and cosine for any other.

    Args:
        quality: The study's section.
        labels: Of the search split, where there are any.
        output_shape: Of the output that is judged, batch first.
        root: Folder that the modules of users start from.

    Raises:
        ConfigError: There is no such metric, its direction is missing or wrong, or it needs
            labels and there are none.
    """
    name = quality.metric or default_metric(labels, output_shape)
    metric = _from_user(name, quality, root) if ":" in name else _named(name, quality)
    if metric.needs_labels and labels is None:
        raise ConfigError(
            f"{METRIC_KEY}: '{name}' needs labels and the data have none; name their array in "
            "task.data.labels, or choose 'agreement', 'cosine' or 'fidelity_r2'"
        )
    return metric


def training_loss(metric: Metric, labels: Array | None, output_shape: Shape) -> Loss:
    """The loss that recovery can train with: the metric's own where labels and output suit it.

    A user's function says nothing about training, so there the labels decide.

    Args:
        metric: What :func:`resolve_metric` returned.
        labels: Of the train split, where there are any.
        output_shape: Of the output that is judged, batch first.

    Returns:
        ``none`` where only the source model can teach.
    """
    if labels is None or metric.uses_source_outputs:
        return "none"
    fitting = fitting_loss(labels, output_shape)
    return fitting if isinstance(metric, FunctionMetric) or metric.loss == fitting else "none"


def fitting_loss(labels: Array, output_shape: Shape) -> Loss:
    """The loss that labels and output suit, whatever the metric; ``none`` where they suit none.

    One label a row is ``[N]`` or ``[N, 1]``, as for the metrics.
    """
    if _integer(labels) and one_value_a_row(labels.shape) and _is_classes(output_shape):
        return "cross_entropy"
    if labels.dtype.kind == "f" and same_rows(labels.shape, output_shape):
        return "mse"
    return "none"


def default_metric(labels: Array | None, output_shape: Shape) -> str:
    """Name of the metric where a study names none; see :func:`resolve_metric`."""
    if labels is None:
        if one_value_a_row(output_shape):
            return "fidelity_r2"
        return "agreement" if _is_classes(output_shape) else "cosine"
    if not _integer(labels):
        return "rmse"
    one_score = one_value_a_row(output_shape) and one_value_a_row(labels.shape)
    return "roc_auc" if one_score and bool(np.isin(labels, (0, 1)).all()) else "accuracy"


def _named(name: str, quality: QualitySection) -> Metric:
    if name not in METRICS:
        raise ConfigError(
            f"{METRIC_KEY}: unknown metric '{name}'{did_you_mean(name, METRICS)}; your own is "
            "named module:function"
        )
    metric = METRICS.load(name)
    if quality.direction not in (None, metric.direction):
        raise ConfigError(
            f"task.quality.direction: '{name}' is to {metric.direction}, not to "
            f"{quality.direction}; leave the direction out"
        )
    return metric


def _from_user(reference: str, quality: QualitySection, root: Path) -> Metric:
    if quality.direction is None:
        raise ConfigError(
            f"task.quality.direction: say whether '{reference}' is to 'maximize' or to 'minimize'"
        )
    if reference.startswith(f"{SESSION}:"):
        function = load_function(reference, root, METRIC_KEY)
    else:
        function = UserFunction(reference, root, METRIC_KEY)
    return FunctionMetric(reference, function, quality.direction)


def _integer(labels: Array) -> bool:
    return labels.dtype.kind in "biu"


def _is_classes(output_shape: Shape) -> bool:
    return len(output_shape) == 2 and output_shape[1] != 1
