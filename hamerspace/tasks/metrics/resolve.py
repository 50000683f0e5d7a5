"""Choose the metric that a study names, or the one that suits its labels and output."""

from collections.abc import Callable
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hamerspace.config.study import QualitySection
from hamerspace.errors import ConfigError, did_you_mean
from hamerspace.tasks.metrics import METRICS
from hamerspace.tasks.metrics.base import (
    Direction,
    Loss,
    Metric,
    OfAllRows,
    Shape,
    of_classes,
    one_value_a_row,
    same_rows,
)
from hamerspace.tasks.metrics.labels import kind_of
from hamerspace.tasks.metrics.rows import Array
from hamerspace.tasks.user_code import SESSION, call_function, load_function

METRIC_KEY = "task.quality.metric"


class FunctionMetric(OfAllRows):
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

    def telling(self, tell: Callable[[], None]) -> "FunctionMetric":
        """The same metric, which calls ``tell`` whenever a call of the function has ended."""
        function = self._function

        def told(outputs: Array, reference: Array) -> Any:
            try:
                return function(outputs, reference)
            finally:
                tell()

        same = copy(self)
        same._function = told  # noqa: SLF001 - our own class
        return same

    def of_all(self, outputs: Array, labels: Array) -> Any:
        return self._function(outputs, labels)


def resolve_metric(
    quality: QualitySection,
    labels: Array | None,
    output_shape: Shape,
    root: Path,
    dtype: str = "float32",
    *,
    several: bool = False,
) -> Metric:
    """The metric of a study.

    Left out it is accuracy for labels that are classes, of a row or of each position, one-hot or
    not; roc_auc for 0 and 1 of one score a row, average_precision for several of these, rmse for
    others. Without labels it is fidelity_r2_all where there are several outputs and none is named;
    of one it is agreement for ``[N, classes]`` of floats or of 8 bits, and for whole numbers of 32
    bits and more, which are classes themselves, and fidelity_r2 for any other.

    Args:
        quality: The study's section.
        labels: Of the search split, where there are any.
        output_shape: Of the output that is judged, batch first.
        root: Folder that the modules of users start from.
        dtype: Of the output that is judged.
        several: Whether other outputs could be judged as well, and the study names none.

    Raises:
        ConfigError: There is no such metric, its direction is missing or wrong, or it needs
            labels and there are none.
    """
    name = quality.metric or default_metric(labels, output_shape, dtype, several=several)
    metric = _from_user(name, quality, root) if ":" in name else _named(name, quality)
    if metric.needs_labels and labels is None:
        raise ConfigError(
            f"{METRIC_KEY}: '{name}' needs labels and the data have none; name their array in "
            "task.data.labels, or choose 'agreement', 'cosine' or 'fidelity_r2'"
        )
    return metric


def training_loss(
    metric: Metric | None, labels: Array | None, output_shape: Shape, dtype: str = "float32"
) -> Loss:
    """The loss that recovery can train with: one that labels and output suit, and the metric.

    A user's function says nothing about training, so there the labels decide.

    Args:
        metric: What :func:`resolve_metric` returned; ``None`` for a user's function.
        labels: Of the train split, where there are any.
        output_shape: Of the output that is judged, batch first.
        dtype: Of that output.

    Returns:
        ``none`` where only the source model can teach.
    """
    if labels is None or (metric is not None and not metric.needs_labels):
        return "none"
    fitting = _fitting_losses(labels, output_shape, dtype)
    if metric is None or isinstance(metric, FunctionMetric):
        return fitting[0]
    suiting = {metric.loss}
    if metric.loss == "cross_entropy":  # metrics of classes judge one score a row too
        suiting.add("binary_cross_entropy")
    return next((loss for loss in fitting if loss in suiting), "none")


def _fitting_losses(labels: Array, output_shape: Shape, dtype: str) -> tuple[Loss, ...]:
    """The losses that labels and output suit, whatever the metric, the best first; never empty."""
    kind = kind_of(labels, output_shape, dtype)
    if kind == "numbers":
        return ("mse",) if same_rows(labels.shape, output_shape) else ("none",)
    return _OF_KIND[kind][1]


def default_metric(
    labels: Array | None, output_shape: Shape, dtype: str = "float32", *, several: bool = False
) -> str:
    """Name of the metric where a study names none; see :func:`resolve_metric`.

    Raises:
        ConfigError: There is none for such labels.
    """
    if labels is None:
        alone = bool(of_classes(output_shape, dtype)) and not several
        return "agreement" if alone else "fidelity_r2_all" if several else "fidelity_r2"
    kind = kind_of(labels, output_shape, dtype)
    if kind == "masks":
        raise ConfigError(
            f"{METRIC_KEY}: the labels are masks of 0 and 1, {list(labels.shape)}; write the "
            "metric that counts for them, such as intersection over union (module:function), or "
            "choose 'rmse'"
        )
    if kind == "numbers":
        fits = same_rows(labels.shape, output_shape)
        if fits and one_value_a_row(output_shape) and len(np.unique(labels)) == 2:
            return "roc_auc"  # refused, with what it takes: two numbers are rather classes
        return "rmse" if fits or labels.dtype.kind == "f" else "accuracy"
    return _OF_KIND[kind][0]


_OF_KIND: dict[str, tuple[str, tuple[Loss, ...]]] = {
    "classes": ("accuracy", ("cross_entropy",)),
    "ids": ("accuracy", ("none",)),
    "binary": ("roc_auc", ("binary_cross_entropy", "mse")),
    "tags": ("average_precision", ("binary_cross_entropy", "mse")),
    "masks": ("", ("binary_cross_entropy", "mse")),
}
"""What suits a kind of labels, numbers aside: the metric, and the losses, the best first."""


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
        function = partial(call_function, reference, root, METRIC_KEY)
    return FunctionMetric(reference, function, quality.direction)
