"""The contract of a metric, and the guard around every call of one."""

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar, final

import numpy as np
import numpy.typing as npt

from hamerspace.errors import MetricError
from hamerspace.tasks.metrics.rows import Array, Rows, row_count
from hamerspace.tasks.model import shape_text

PerSample = npt.NDArray[np.float64]
Direction = Literal["maximize", "minimize"]
DropUnit = Literal["points", "relative"]
Loss = Literal["cross_entropy", "binary_cross_entropy", "mse", "none"]
Shape = Sequence[int | None]
"""Of a tensor, batch first; ``None`` is a dimension that is not known yet."""
T = TypeVar("T")


class Metric(ABC):
    """Judges a model's outputs against the labels, or against the source model's outputs.

    A subclass turns rows into evidence, a part of the rows at a time, by :meth:`rows`. Where the
    metric is the mean of a score a row, the scores are the evidence, and candidates are paired with
    the source model row by row. Any other metric makes its number of the evidence of all rows by
    :meth:`value`. :meth:`examine` tells what shapes alone show that it cannot judge. Callers use
    :meth:`evidence`, :meth:`combine`, :meth:`score` and :meth:`check`, which guard these.

    Attributes:
        name: Registry name, or the ``module:function`` of a user.
        direction: Whether more is better.
        drop_unit: ``points`` is 100 times the loss of value, for metrics between 0 and 1;
            ``relative`` is the loss in percent of the source model's value. ``None`` leaves it to
            the source model's value: points where it lies between 0 and 1 and more is better.
        needs_labels: Whether the reference is the labels; otherwise it is the source's outputs.
        takes_ids: Whether an output of whole numbers may be the classes themselves, not scores;
            :meth:`examine` is not asked about one.
        all_outputs: Whether it looks at all outputs that have an entry for each row, and gets
            mappings of output name to array where others get the judged output.
        keeps_rows: Whether the evidence holds the rows themselves, so that it is no smaller.
        loss: What recovery trains with.
    """

    name: str
    direction: Direction
    drop_unit: DropUnit | None
    needs_labels: bool = True
    takes_ids: bool = False
    all_outputs: bool = False
    keeps_rows: bool = False
    loss: Loss = "none"

    @property
    def maximize(self) -> bool:
        """Whether more is better."""
        return self.direction == "maximize"

    @abstractmethod
    def rows(self, outputs: Any, reference: Any) -> Rows:
        """The evidence of some rows, each by itself.

        Args:
            outputs: ``[n, ...]``, read-only, without NaN; see :attr:`all_outputs`.
            reference: Labels ``[n, ...]`` or the source's outputs, read-only.

        Returns:
            Scores ``[n]`` of which the metric is the mean; ``[n, groups]`` where it is the worst of
            the means of several groups, such as channels. For a :meth:`value` of its own, whatever
            array of ``n`` rows that needs, or a mapping of names to such.

        Raises:
            MetricError: The shapes or values do not suit the metric. Any other exception becomes
                one.
        """

    def value(self, evidence: Any) -> Any:
        """The metric as a number, or the scores ``[n]`` whose mean it is.

        Args:
            evidence: What :meth:`rows` gave, of all rows that are judged, or of a resample.
        """
        return evidence

    def fitted(self, source_outputs: Any) -> "Metric":  # noqa: ARG002 - most need none of it
        """The metric as it judges parts of these rows: what it scales by is that of all of them.

        Args:
            source_outputs: All rows of what :meth:`rows` gets.
        """
        return self

    def chance(self, reference: Array) -> float | None:  # noqa: ARG002
        """What a model reaches that does not look at its inputs; ``None`` where nobody can tell.

        Args:
            reference: Labels ``[N, ...]``.
        """
        return None

    def remark(self, labels: Array) -> str:  # noqa: ARG002
        """What of these labels does not count, in words; empty where all do.

        Args:
            labels: ``[N, ...]``.
        """
        return ""

    def examine(self, output_shape: Shape, labels: Array | None) -> None:  # noqa: B027 - most need not
        """Refuse an output or labels that :meth:`rows` would refuse, before there are outputs.

        Args:
            output_shape: Of the output that is judged.
            labels: ``[N, ...]``, read-only; ``None`` where the source's outputs take their place.

        Raises:
            MetricError: The shapes or values do not suit the metric. Any other exception becomes
                one.
        """

    @final
    def score(self, outputs: Array, reference: Array) -> float:
        """The metric over all rows at once, a finite number.

        Raises:
            MetricError: As :meth:`evidence` and :meth:`combine`.
        """
        return self.combine(self.evidence(outputs, reference))[0]

    @final
    def evidence(self, outputs: Rows, reference: Rows) -> Rows:
        """What :meth:`rows` makes of some rows, with as many rows.

        Raises:
            MetricError: The metric raised, or the rows do not match.
        """
        kind = "labels" if self.needs_labels else "source outputs"
        given = _describe({"outputs": outputs, kind: reference})
        rows = row_count(outputs)
        if rows != row_count(reference) or not rows:
            raise MetricError(
                f"metric '{self.name}': {given} differ in their number of rows, or have none"
            )
        found = self._guarded(
            lambda: self.rows(_read_only(outputs), _read_only(reference)), f"on {given}"
        )
        if not isinstance(found, Mapping | np.ndarray) or row_count(found) != rows:
            raise MetricError(
                f"metric '{self.name}': the evidence of {rows} rows is {_describe(found)}"
            )
        return found

    @final
    def combine(self, evidence: Rows) -> tuple[float, PerSample | None]:
        """The metric, a finite number, and the scores whose mean it is.

        These are float64 ``[N]``, or ``[N, groups]`` where it is the worst of their means; ``None``
        where it is no such mean.

        Raises:
            MetricError: The metric raised, or gives no finite number.
        """
        told = f"on {_describe({'evidence': evidence})}"
        number, scores = self._guarded(lambda: self._mean(_read_only(evidence)), told)
        value = self._finite(number)
        if scores is None:
            return value, None
        if not np.isfinite(scores).all():
            raise MetricError(f"metric '{self.name}': the scores of some rows are not finite")
        return value, scores.astype(np.float64, copy=False)

    def _mean(self, evidence: Rows) -> tuple[Any, PerSample | None]:
        found: Any = self.value(evidence)
        one_a_row = isinstance(found, np.ndarray) and found.shape == (row_count(evidence),)
        if not one_a_row and found is not evidence:
            return found, None
        scores: PerSample = found
        means = np.atleast_1d(scores.mean(axis=0))
        return (means.min() if self.maximize else means.max()), scores

    @final
    def check(self, output_shape: Shape, labels: Array | None, dtype: str = "float32") -> None:
        """Check what :meth:`examine` can tell of a task, before its model is run on the data.

        Args:
            output_shape: Of the output that is judged.
            labels: As for :meth:`examine`.
            dtype: Of the output.

        Raises:
            MetricError: The metric cannot judge such an output, or not by such labels.
        """
        if not is_number(dtype):
            raise MetricError(
                f"metric '{self.name}': the outputs are {dtype}; choose another "
                "task.quality.output, or write a metric (module:function)"
            )
        if self.takes_ids and may_be_ids(output_shape, dtype):
            return
        truth = None if labels is None else _read_only(labels)
        self._guarded(
            lambda: self.examine(output_shape, truth), f"for outputs {shape_text(output_shape)}"
        )

    def _guarded(self, call: Callable[[], T], told: str) -> T:
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                # What the warnings warn of becomes a NaN, which is refused with a message.
                warnings.simplefilter("ignore")
                return call()
        except MetricError as error:
            raise MetricError(f"metric '{self.name}': {error}") from error
        except (Exception, SystemExit) as error:
            raise MetricError(f"metric '{self.name}' raised {error!r} {told}") from error

    def _finite(self, result: Any) -> float:
        number = result
        if not isinstance(result, float | int) and getattr(result, "size", None) != 0:
            # numpy scalars and arrays or tensors of one element have item(); of more it raises.
            try:
                number = result.item()
            except (AttributeError, TypeError, ValueError, RuntimeError):
                number = None
        if isinstance(number, bool) or not isinstance(number, float | int):
            raise MetricError(
                f"metric '{self.name}' returned {_describe(result)}; it must return one number"
            )
        if not math.isfinite(number):
            raise MetricError(
                f"metric '{self.name}' returned {number}; it must return a finite number"
            )
        return float(number)


class OfAllRows(Metric):
    """A metric that looks at all rows at once, such as at their order: they are its evidence."""

    keeps_rows = True

    def rows(self, outputs: Array, reference: Array) -> Rows:
        return {"outputs": outputs, "labels": reference}

    def value(self, evidence: Any) -> Any:
        return self.of_all(evidence["outputs"], evidence["labels"])

    @abstractmethod
    def of_all(self, outputs: Array, labels: Array) -> Any:
        """The number, or the scores ``[n]`` whose mean it is; both arguments are ``[n, ...]``."""


def drop_points(
    metric: Metric, source_value: float, candidate_value: float, unit: DropUnit | None = None
) -> float:
    """Loss of quality against the source model in points; negative where the candidate is better.

    Points are hundredths for a metric between 0 and 1, and percent of the source's value for the
    others; see :attr:`Metric.drop_unit`.

    Args:
        metric: Tells the direction.
        source_value: Of the source model.
        candidate_value: Of the candidate.
        unit: What :func:`drop_unit` said for all rows, where these are only some of them.

    Raises:
        MetricError: The drop is relative and the source's value is 0.
    """
    sign = 1.0 if metric.maximize else -1.0
    drop = sign * (source_value - candidate_value)
    if (unit or drop_unit(metric, source_value)) == "points":
        return 100.0 * drop
    if source_value == 0:
        raise MetricError(
            f"metric '{metric.name}' is 0 for the source model, so a loss in percent of it has no "
            "meaning; choose another metric, such as 'r2' for numbers"
        )
    return 100.0 * drop / abs(source_value)


def drop_unit(metric: Metric, source_value: float) -> DropUnit:
    """In which unit drops of ``metric`` are told for this source model."""
    if metric.drop_unit is not None:
        return metric.drop_unit
    return "points" if metric.maximize and 0 <= source_value <= 1 else "relative"


def one_value_a_row(shape: Shape) -> bool:
    """Whether a row is one value, in whatever number of dimensions."""
    return all(size == 1 for size in shape[1:])


def same_rows(one: Shape, other: Shape) -> bool:
    """Whether rows of two shapes may be compared value by value, as far as the sizes are known."""
    if one_value_a_row(one) and one_value_a_row(other):
        return True
    return len(one) == len(other) and all(
        a is None or b is None or a == b for a, b in zip(one[1:], other[1:], strict=True)
    )


def is_number(dtype: str) -> bool:
    """Whether it can be ordered and measured, as complex numbers and text cannot."""
    return dtype.startswith(("bool", "int", "uint", "float", "bfloat"))


def is_quantised(dtype: npt.DTypeLike) -> bool:
    """Whether whole numbers are as small as those that stand for floats in quantised files."""
    return np.dtype(dtype).kind in "iu" and np.dtype(dtype).itemsize <= 2


def is_scores(shape: Shape) -> bool:
    """Whether a row may be scores of classes: ``[N, classes]``."""
    return len(shape) == 2 and shape[1] != 1


def may_be_ids(shape: Shape, dtype: npt.DTypeLike) -> bool:
    """Whether an output may give out classes as whole numbers; quantised scores are others."""
    return np.dtype(dtype).kind in "biu" and not (is_scores(shape) and is_quantised(dtype))


def of_classes(shape: Shape, dtype: npt.DTypeLike) -> Literal["ids", "scores", ""]:
    """What an output may tell of classes where no labels say: themselves, or a score of each.

    Small whole numbers are quantised scores of classes, or quantised numbers.
    """
    small = is_quantised(dtype)
    if may_be_ids(shape, dtype) and not small:
        return "ids"
    return "scores" if is_scores(shape) and not (small and np.dtype(dtype).itemsize > 1) else ""


def _read_only(rows: Any) -> Any:
    if isinstance(rows, Mapping):
        return {name: _read_only(array) for name, array in rows.items()}
    view = rows.view()
    view.flags.writeable = False
    return view


def _describe(value: Any) -> str:
    if isinstance(value, Mapping):
        return " and ".join(
            _describe(found) if isinstance(found, Mapping) else f"{name} {_describe(found)}"
            for name, found in value.items()
        )
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{shape_text(value.shape)}"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
