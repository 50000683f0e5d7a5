"""Metrics without labels: how close the outputs stay to those of the source model."""

from collections.abc import Collection, Mapping

import numpy as np

from hamerspace.errors import MetricError
from hamerspace.tasks.metrics.base import (
    Metric,
    PerSample,
    Shape,
    is_scores,
    may_be_ids,
    of_classes,
    one_value_a_row,
)
from hamerspace.tasks.metrics.regression import check_rows, flat_pair
from hamerspace.tasks.metrics.rows import Array
from hamerspace.tasks.metrics.spread import Spread, channel_errors
from hamerspace.tasks.model import shape_text


class _Fidelity(Metric):
    direction = "maximize"
    drop_unit = "points"
    needs_labels = False


class Agreement(_Fidelity):
    """Share of rows whose greatest score is that of the source model.

    Of a model that gives out classes themselves, as whole numbers, the share of those that agree.
    """

    name = "agreement"
    takes_ids = True

    def examine(self, output_shape: Shape, labels: Array | None) -> None:  # noqa: ARG002
        _check_scores(output_shape)

    def rows(self, outputs: Array, reference: Array) -> PerSample:
        if may_be_ids(reference.shape, reference.dtype):
            check_rows(outputs.shape, reference.shape, "source outputs")
            alike = outputs.reshape(reference.shape) == reference
            share: PerSample = alike.reshape(len(alike), -1).mean(axis=1, dtype=np.float64)
            return share
        _check_scores(outputs.shape)
        _check_scores(reference.shape)
        same: PerSample = (outputs.argmax(axis=1) == reference.argmax(axis=1)).astype(np.float64)
        return same


class Cosine(_Fidelity):
    """Mean cosine similarity to the source's output, each row flattened.

    It sees directions, not magnitudes, so rows of one value are refused: of these it would see the
    sign only. A row of zeros is similar (1) to a row of zeros only (else 0).
    """

    name = "cosine"

    def examine(self, output_shape: Shape, labels: Array | None) -> None:  # noqa: ARG002
        if one_value_a_row(output_shape):
            raise MetricError(
                f"the outputs have shape {shape_text(output_shape)}, and of one value a row it "
                "sees the sign only; choose 'fidelity_r2'"
            )

    def rows(self, outputs: Array, reference: Array) -> PerSample:
        self.examine(outputs.shape, None)
        a, b = flat_pair(outputs, reference, "source outputs")
        norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        cosines: PerSample = np.einsum("ij,ij->i", a, b) / np.where(norms > 0, norms, 1.0)
        both_zero = ~a.any(axis=1) & ~b.any(axis=1)
        return np.where(both_zero, 1.0, np.clip(cosines, -1.0, 1.0))


class FidelityR2(_Fidelity):
    """Coefficient of determination with the source's outputs for the truth, of the worst channel.

    That is 1 less the mean squared difference over the variance of the source's outputs, each
    channel by its own; see :class:`~hamerspace.tasks.metrics.spread.Spread`. One point is a
    difference of a tenth of the standard deviation. A channel that no longer varies gets 0 or less.
    """

    name = "fidelity_r2"

    def __init__(self, spread: Spread | None = None) -> None:
        self._spread = spread

    def fitted(self, source_outputs: Array) -> "FidelityR2":
        return FidelityR2(Spread.of(source_outputs))

    def rows(self, outputs: Array, reference: Array) -> PerSample:
        check_rows(outputs.shape, reference.shape, "source outputs")
        outputs = outputs.reshape(reference.shape)
        spread = self._spread or Spread.of(reference)
        return 1.0 - channel_errors(outputs, reference, spread)


class FidelityOfAll(_Fidelity):
    """:class:`FidelityR2` of the worst channel of all outputs that have an entry for each row.

    :class:`Agreement` takes its place for an output of classes, or of scores of classes. What is
    the same in all rows of the source model does not count.
    """

    name = "fidelity_r2_all"
    all_outputs = True

    def __init__(
        self,
        scores: Collection[str] | None = None,
        spreads: Mapping[str, Spread | None] | None = None,
    ) -> None:
        self._scores, self._spreads = scores, spreads

    def knowing(self, scores: Collection[str]) -> "FidelityOfAll":
        """The same, told which outputs are scores of classes; else what it is fitted to decides."""
        return FidelityOfAll(scores)

    def fitted(self, source_outputs: Mapping[str, Array]) -> "FidelityOfAll":
        spreads = {name: self._spread(name, array) for name, array in source_outputs.items()}
        return FidelityOfAll(self._scores, spreads)

    def rows(self, outputs: Mapping[str, Array], reference: Mapping[str, Array]) -> PerSample:
        if self._spreads is None:
            return self.fitted(reference).rows(outputs, reference)
        found = []
        for name, wanted in reference.items():
            spread, given = self._spreads[name], outputs[name]
            check_rows(given.shape, wanted.shape, f"source outputs '{name}'")
            given = given.reshape(wanted.shape)
            if spread is None:
                found.append(AGREEMENT.rows(given, wanted)[:, None])
            elif not spread.still:
                found.append(1.0 - channel_errors(given, wanted, spread))
        if not found:
            raise MetricError("the source model gives the same in all rows; give rows that differ")
        groups: PerSample = np.concatenate(found, axis=1)
        return groups

    def _spread(self, name: str, outputs: Array) -> Spread | None:
        """``None`` of what agrees or does not."""
        kind = of_classes(outputs.shape, outputs.dtype)
        if kind == "scores":
            known = self._scores
            agrees = not scores_doubt(outputs) if known is None else name in known
        else:
            agrees = kind == "ids"
        return None if agrees else Spread.of(outputs)


def scores_doubt(outputs: Array) -> str:
    """Why outputs ``[N, columns]`` are no scores of classes; empty where they may be.

    Of class scores the greatest means something: they share a scale, and which is the greatest
    depends on the row. Numbers of several units do neither.
    """
    values = np.asarray(outputs, np.float64)
    within = bool((values >= 0).all() and (values <= 1).all())
    add_up = within and bool((abs(values.sum(axis=1) - 1) < _sum_tolerance(values)).all())
    if outputs.dtype.kind in "biu" or add_up:
        return ""
    lengths = np.linalg.norm(values, axis=1)
    spread = np.sort(np.sqrt(values.var(axis=0)))
    first = np.bincount(values.argmax(axis=1)).max() / len(values)
    doubts = {
        "they lie between 0 and 1 and do not add up to 1": within,
        "each row has length 1, as embeddings have": (abs(lengths - 1) < _LENGTH_TOLERANCE).all(),
        "their columns differ in scale": spread[0] * _MOST_RATIO < spread[-1],
        "the same column is the greatest in nearly all rows": first > _MOST_SHARE,
    }
    return next((doubt for doubt, holds in doubts.items() if holds), "")


def _sum_tolerance(shares: Array) -> float:
    """How far from 1 shares may add up that were rounded to bfloat16, or to whole steps."""
    step = shares[shares > 0].min(initial=1.0)
    steps = shares / step
    on_grid = step > _LEAST_STEP and bool((abs(steps - steps.round()) < _OFF_GRID).all())
    return min(step * shares.shape[1] / 2, _MOST_OFF) if on_grid else _SUM_TOLERANCE


_SUM_TOLERANCE = 2.0**-7
_LEAST_STEP, _OFF_GRID, _MOST_OFF = 1e-3, 1e-2, 0.25
_LENGTH_TOLERANCE = 1e-3
_MOST_RATIO = 10.0
_MOST_SHARE = 0.98


def _check_scores(shape: Shape) -> None:
    if not is_scores(shape):
        raise MetricError(
            f"it takes scores of shape [rows, classes], but there are {shape_text(shape)}; "
            "use 'fidelity_r2'"
        )


AGREEMENT = Agreement()
COSINE = Cosine()
FIDELITY_R2 = FidelityR2()
FIDELITY_R2_ALL = FidelityOfAll()
