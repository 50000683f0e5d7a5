"""The contract of a metric, and the guard around every call of one."""

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar, final

import numpy as np
import numpy.typing as npt

from hamerspace.errors import MetricError

Array = npt.NDArray[Any]
PerSample = npt.NDArray[np.float64]
Direction = Literal["maximize", "minimize"]
DropUnit = Literal["points", "relative"]
Loss = Literal["cross_entropy", "binary_cross_entropy", "mse", "none"]
Shape = Sequence[int | None]
"""Of a tensor, batch first; ``None`` is a dimension that is not known yet."""
T = TypeVar("T")


class Metric(ABC):
    """Judges a model's outputs against the labels, or against the source model's outputs.

    A subclass implements :meth:`compute`, :meth:`compute_per_sample` where the metric is a mean
    over samples, and :meth:`examine` where shapes alone tell what it cannot judge. Callers use
    :meth:`value`, :meth:`per_sample` and :meth:`check`, which guard them.

    Attributes:
        name: Registry name, or the ``module:function`` of a user.
        direction: Whether more is better.
        drop_unit: ``points`` is 100 times the loss of value, for metrics between 0 and 1;
            ``relative`` is the loss in percent of the source model's value. ``None`` leaves it to
            the source model's value: points where it lies between 0 and 1 and more is better.
        needs_labels: Whether the reference is the labels; otherwise it is the source's outputs.
        takes_ids: Whether an output of whole numbers may be the classes themselves, not scores;
            :meth:`examine` is not asked about one.
        loss: What recovery trains with.
    """

    name: str
    direction: Direction
    drop_unit: DropUnit | None
    needs_labels: bool = True
    takes_ids: bool = False
    loss: Loss = "none"

    @property
    def uses_source_outputs(self) -> bool:
        """Whether the reference is the source model's outputs."""
        return not self.needs_labels

    @property
    def maximize(self) -> bool:
        """Whether more is better."""
        return self.direction == "maximize"

    @abstractmethod
    def compute(self, outputs: Array, reference: Array) -> Any:
        """The metric as a number.

        Args:
            outputs: ``[N, ...]``, read-only, without NaN.
            reference: Labels or source outputs ``[N, ...]``, read-only.

        Raises:
            MetricError: The shapes or values do not suit the metric. Any other exception becomes
                one.
        """

    def compute_per_sample(self, outputs: Array, reference: Array) -> PerSample | None:  # noqa: ARG002
        """float64 ``[N]`` whose mean is the metric; ``None`` where the metric is no such mean.

        ``[N, groups]`` where it is the worst of the means of several groups, such as channels.
        """
        return None

    def fitted(self, source_outputs: Array) -> "Metric":  # noqa: ARG002 - most need none of it
        """The metric as it judges parts of these rows: what it scales by is that of all of them.

        Args:
            source_outputs: Of the judged output, all rows.
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
        """Refuse an output or labels that :meth:`compute` would refuse, before there are outputs.

        Args:
            output_shape: Of the output that is judged.
            labels: ``[N, ...]``, read-only; ``None`` where the source's outputs take their place.

        Raises:
            MetricError: The shapes or values do not suit the metric. Any other exception becomes
                one.
        """

    @final
    def value(self, outputs: Array, reference: Array) -> float:
        """The metric over all rows, a finite number.

        Raises:
            MetricError: The metric raised, the rows do not match, the outputs hold NaN, or the
                result is not a finite number.
        """
        return self._finite(self._guarded(self.compute, outputs, reference))

    @final
    def per_sample(self, outputs: Array, reference: Array) -> PerSample | None:
        """float64 ``[N]`` whose mean is :meth:`value`, or ``None``; for paired tests.

        ``[N, groups]`` where :meth:`value` is the worst of their means, see :meth:`worst`.

        Raises:
            MetricError: As :meth:`value`.
        """
        samples = self._guarded(self.compute_per_sample, outputs, reference)
        if samples is None:
            return None
        if (
            samples.ndim not in (1, 2)
            or len(samples) != len(outputs)
            or not np.isfinite(samples).all()
        ):
            raise MetricError(
                f"metric '{self.name}': per sample it must give {len(outputs)} finite numbers, "
                f"not {_describe(samples)}"
            )
        return samples.astype(np.float64, copy=False)

    @final
    def worst(self, samples: PerSample) -> float:
        """The mean of scores ``[N]``; of ``[N, groups]`` the worst of the means."""
        means = np.atleast_1d(samples.mean(axis=0))
        return float(means.min() if self.maximize else means.max())

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
        try:
            self.examine(output_shape, None if labels is None else _read_only(labels))
        except MetricError as error:
            raise MetricError(f"metric '{self.name}': {error}") from error
        except Exception as error:
            raise MetricError(
                f"metric '{self.name}' raised {error!r} for outputs {shape_text(output_shape)}"
            ) from error

    def _guarded(self, function: Callable[[Array, Array], T], outputs: Array, ref: Array) -> T:
        kind = "labels" if self.needs_labels else "source outputs"
        given = f"outputs {_describe(outputs)} and {kind} {_describe(ref)}"
        if outputs.ndim == 0 or ref.ndim == 0 or len(outputs) != len(ref) or not len(outputs):
            raise MetricError(
                f"metric '{self.name}': {given} differ in their number of rows, or have none"
            )
        if outputs.dtype.kind == "f" and np.isnan(outputs).any():
            rows = int(np.isnan(outputs.reshape(len(outputs), -1)).any(axis=1).sum())
            raise MetricError(
                f"metric '{self.name}': the outputs hold NaN in {rows} of {len(outputs)} rows"
            )
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                # What the warnings warn of becomes a NaN, which is refused with a message.
                warnings.simplefilter("ignore")
                return function(_read_only(outputs), _read_only(ref))
        except MetricError as error:
            raise MetricError(f"metric '{self.name}': {error}") from error
        except (Exception, SystemExit) as error:
            raise MetricError(f"metric '{self.name}' raised {error!r} on {given}") from error

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


def check_metric(metric: Metric, source_outputs: Array, reference: Array) -> float:
    """Judge the source model itself, once, before any trial; return its value.

    Raises:
        MetricError: The metric fails on the source model, gives different values for the same
            outputs, contradicts its per-sample values, or its relative drop has no meaning.
    """
    value = metric.value(source_outputs, reference)
    again = metric.value(source_outputs, reference)
    if not math.isclose(value, again, rel_tol=1e-6, abs_tol=1e-9):
        raise MetricError(
            f"metric '{metric.name}' gave {value} and then {again} for the same outputs; it must "
            "be deterministic (seed what it draws)"
        )
    samples = metric.per_sample(source_outputs, reference)
    if samples is not None and not math.isclose(
        metric.worst(samples), value, rel_tol=1e-5, abs_tol=1e-6
    ):
        raise MetricError(
            f"metric '{metric.name}': the mean of its per-sample values is "
            f"{metric.worst(samples)}, but its value is {value}"
        )
    drop_points(metric, value, value)
    return value


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


def may_be_ids(shape: Shape, dtype: npt.DTypeLike) -> bool:
    """Whether an output may give out classes as whole numbers; quantised scores are others."""
    scores = len(shape) == 2 and shape[1] != 1 and is_quantised(dtype)
    return np.dtype(dtype).kind in "biu" and not scores


def shape_text(shape: Shape) -> str:
    """A shape as it is read, such as ``[?, 10]``."""
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def _describe(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype}[{', '.join(map(str, value.shape))}]"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
