"""Intervals for ratios of latencies and for differences of quality."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hamerspace.errors import MetricError

Floats = npt.NDArray[np.float64]
CONFIDENCE = 0.95
_FEW = 10
"""Rows that differ, below which they do not tell by how much those not met may."""


@dataclass(frozen=True)
class Interval:
    """An estimate with a confidence interval."""

    estimate: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2

    def scaled(self, factor: float) -> "Interval":
        """The interval of the quantity times a positive factor."""
        return Interval(self.estimate * factor, self.low * factor, self.high * factor)

    def to_dict(self) -> dict[str, float]:
        return {"estimate": self.estimate, "low": self.low, "high": self.high}

    @classmethod
    def from_dict(cls, value: dict[str, float]) -> "Interval":
        return cls(value["estimate"], value["low"], value["high"])


def student_interval(values: Sequence[float] | Floats, confidence: float = CONFIDENCE) -> Interval:
    """Student's t interval for the mean of independent values; infinite for fewer than two."""
    from scipy import stats

    array = np.asarray(values, dtype=np.float64)
    mean = float(array.mean())
    if len(array) < 2:
        return Interval(mean, -math.inf, math.inf)
    quantile = float(stats.t.ppf((1 + confidence) / 2, len(array) - 1))
    half = quantile * float(array.std(ddof=1)) / math.sqrt(len(array))
    return Interval(mean, mean - half, mean + half)


def ratio_interval(
    numerators: Sequence[float],
    denominators: Sequence[float],
    confidence: float = CONFIDENCE,
    widened: float = 1.0,
) -> Interval:
    """Interval for the ratio of paired positive values.

    The t interval of the differences of logarithms, taken back: symmetric in which of the two is
    the reference. A fifth of the pairs is trimmed at either end (Yuen 1974), so that a neighbour's
    burst in one block does not decide.

    Args:
        numerators: Positive.
        denominators: As many.
        confidence: Of the interval.
        widened: Factor on its half-width, on the logarithm.
    """
    from scipy import stats

    logs = np.sort(np.log(np.asarray(numerators)) - np.log(np.asarray(denominators)))
    count = len(logs)
    cut = count // 5
    kept = count - 2 * cut
    if kept < 2:
        return Interval(float(np.exp(np.median(logs))), 0.0, math.inf)
    mean = float(logs[cut : count - cut].mean())
    winsorized = np.clip(logs, logs[cut], logs[count - cut - 1])
    error = float(winsorized.std(ddof=1)) / ((1 - 2 * cut / count) * math.sqrt(count))
    half = widened * float(stats.t.ppf((1 + confidence) / 2, kept - 1)) * error
    return Interval(math.exp(mean), math.exp(mean - half), math.exp(mean + half))


def process_ratios(
    groups: Sequence[Sequence[Interval]], confidence: float = CONFIDENCE
) -> list[Interval]:
    """Interval for the ratio of each of some models, from ratios seen in pairs of processes.

    The pair is the unit: Student's interval of the logarithms of its ratios. As three to five
    pairs tell little of a spread, the models share one; it is at least what the blocks within a
    pair tell.

    Args:
        groups: Of each model the ratios in its pairs, as 95 % intervals; at least one pair.
        confidence: Of each interval.
    """
    from scipy import stats

    logs = [np.log([ratio.estimate for ratio in group]) for group in groups]
    freedom = sum(len(values) - 1 for values in logs)
    if not freedom:
        return [Interval(float(np.exp(values.mean())), 0.0, math.inf) for values in logs]
    between = sum(float(np.square(v - v.mean()).sum()) for v in logs) / freedom
    quantile = float(stats.t.ppf((1 + confidence) / 2, freedom))
    found = []
    for values, group in zip(logs, groups, strict=True):
        variance = max(between, float(np.mean([_log_error(ratio) ** 2 for ratio in group])))
        mean, half = float(values.mean()), quantile * math.sqrt(variance / len(values))
        high = math.exp(mean + half) if half < math.inf else math.inf
        found.append(Interval(math.exp(mean), math.exp(mean - half), high))
    return found


def _log_error(ratio: Interval) -> float:
    """Standard error of the logarithm of a ratio that is known as a 95 % interval."""
    if not 0 < ratio.low <= ratio.high < math.inf:
        return math.inf
    return math.log(ratio.high / ratio.low) / (2 * 1.96)


def paired_difference(
    source: Floats, candidate: Floats, reach: float, confidence: float = CONFIDENCE
) -> Interval:
    """Interval for the mean of ``source - candidate``, paired per sample.

    Where every score is 0 or 1, half a count is added to each cell of the table of agreement
    (Agresti and Min 2005, "Simple improved confidence intervals for comparing matched
    proportions"), which keeps the interval honest when the two rarely differ. Other scores of
    which few differ, or all by the same, are guarded alike.

    Args:
        source: Scores of the source model.
        candidate: Those of the candidate on the same rows.
        reach: What a row can lose or win; see :func:`guarded_difference`.
        confidence: Of the interval.
    """
    if not _binary(source) or not _binary(candidate):
        differences = source - candidate
        if np.count_nonzero(differences) < _FEW or np.ptp(differences) == 0:
            return guarded_difference(differences, reach, confidence)
        return student_interval(differences, confidence)
    from scipy import stats

    rows = len(source)
    lost = float(np.sum(source > candidate))
    won = float(np.sum(candidate > source))
    size = rows + 2.0
    mean = (lost - won) / size
    variance = ((lost + won + 1.0) - (lost - won) ** 2 / size) / size**2
    half = float(stats.norm.ppf((1 + confidence) / 2)) * math.sqrt(variance)
    return Interval((lost - won) / rows, mean - half, mean + half)


def guarded_difference(
    differences: Floats, reach: float, confidence: float = CONFIDENCE
) -> Interval:
    """Interval for the mean of differences that are few, or of which few are not 0.

    Half a count is added at plus and minus ``reach``, what a row can lose or win: for zeros and
    ones the adjustment of Agresti and Min (see :func:`paired_difference`), here for any scores.
    Student's interval alone is too narrow where rare rows carry the mean and were not met yet.

    Args:
        differences: Source minus candidate, of each row.
        reach: What a row can lose or win, above 0, or the interval may have no width.
        confidence: Of the interval.
    """
    from scipy import stats

    rows = len(differences)
    if rows < 2:
        return Interval(float(differences.mean()), -math.inf, math.inf)
    size = rows + 2.0
    mean = float(differences.sum()) / size
    variance = (float(np.square(differences).sum()) + reach**2) / size - mean**2
    half = float(stats.t.ppf((1 + confidence) / 2, rows - 1)) * math.sqrt(variance / size)
    return Interval(float(differences.mean()), mean - half, mean + half)


def bootstrap_interval(
    statistic: Callable[[npt.NDArray[np.int64], int], float],
    rows: int,
    confidence: float = CONFIDENCE,
    resamples: int = 200,
    seed: int = 0,
    together: int = 1,
    stray: float = 0.0,
) -> Interval:
    """Student's interval with the bootstrap's standard error (Efron and Tibshirani 1993, 12.3).

    Percentiles of so few resamples would say nothing at the confidence of one of several looks.
    Rows that depend on one another are drawn together (Field and Welsh 2007, "Bootstrapping
    clustered data"): drawn one by one they would look like more evidence than they are.

    Args:
        statistic: Of row indices, and the number of the draw that they are: 0 is all rows in
            order, and a draw of one number has the same rows in every call with equal ``rows``,
            ``seed`` and ``together``. A resample on which it raises :class:`MetricError`, such as
            one that lacks a class, is left out.
        rows: How many rows there are.
        confidence: Of the interval.
        resamples: How many are drawn.
        seed: Of the draws.
        together: How many consecutive rows are drawn as one; the last such group may be shorter.
        stray: What one row that comes out otherwise adds to the statistic or takes from it. It
            counts as an error of its own where a resample gives 0 or all give the same: too few
            rows differ for the resamples to tell how much such a row matters.

    Raises:
        MetricError: The statistic fails on all rows, or on most of the resamples.
    """
    from scipy import stats

    rng = np.random.default_rng(seed)
    everything = np.arange(rows)
    groups = np.split(everything, range(together, rows, together)) if together > 1 else None
    estimate = statistic(everything, 0)
    draws: list[float] = []
    failure: MetricError | None = None
    for number in range(1, resamples + 1):
        try:
            draws.append(statistic(_resample(rng, rows, groups), number))
        except MetricError as error:
            failure = error
    if failure is not None and 2 * len(draws) < resamples:
        raise failure
    count = rows if groups is None else len(groups)
    if count < 2:
        return Interval(estimate, -math.inf, math.inf)
    # The bootstrap's own variance is that of the sample, short by (count - 1) / count.
    spread = float(np.std(draws, ddof=1)) * math.sqrt(count / (count - 1))
    if 0.0 in draws or np.ptp(draws) == 0:
        spread = math.hypot(spread, stray)
    # Nor do few resamples know the error better than as many rows would.
    freedom = min(count, len(draws)) - 1
    half = float(stats.t.ppf((1 + confidence) / 2, freedom)) * spread
    return Interval(estimate, estimate - half, estimate + half)


def _resample(
    rng: np.random.Generator, rows: int, groups: Sequence[npt.NDArray[np.int64]] | None
) -> npt.NDArray[np.int64]:
    """Row indices drawn with replacement, one by one or a group at a time."""
    if groups is None:
        return rng.integers(0, rows, rows)
    return np.concatenate([groups[i] for i in rng.integers(0, len(groups), len(groups))])


def _binary(values: npt.NDArray[Any]) -> bool:
    return bool(np.all((values == 0) | (values == 1)))
