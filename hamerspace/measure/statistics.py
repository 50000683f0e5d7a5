"""Intervals for ratios of latencies and for differences of quality."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from hamerspace.errors import MetricError
from hamerspace.outcome.interval import Interval

Floats = npt.NDArray[np.float64]
CONFIDENCE = 0.95
_WIDEST = 100.0


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
    logs = np.sort(np.log(np.asarray(numerators)) - np.log(np.asarray(denominators)))
    count = len(logs)
    cut = count // 5
    kept = count - 2 * cut
    if kept < 2:
        return Interval(float(np.exp(np.median(logs))), 0.0, math.inf)
    mean = float(logs[cut : count - cut].mean())
    winsorized = np.clip(logs, logs[cut], logs[count - cut - 1])
    error = float(winsorized.std(ddof=1)) / ((1 - 2 * cut / count) * math.sqrt(count))
    half = widened * _quantile(confidence, kept - 1) * error
    return _taken_back(mean, half)


def process_interval(found: Sequence[Interval], confidence: float = CONFIDENCE) -> Interval:
    """Interval for a positive quantity that several processes show.

    The process is the unit: Student's interval of the logarithms, each model with the spread of its
    own, as models differ in it. The spread is at least what the blocks within a process tell.

    Args:
        found: In each process, as 95 % intervals; at least one.
        confidence: Of the interval.
    """
    logs = np.log([one.estimate for one in found])
    mean, count = float(logs.mean()), len(logs)
    if count < 2:
        return Interval(math.exp(mean), 0.0, math.inf)
    within = math.sqrt(np.mean([_log_error(one) ** 2 for one in found]))
    quantile = _quantile(confidence, count - 1)
    half = quantile * max(float(logs.std(ddof=1)), within) / math.sqrt(count)
    return _taken_back(mean, half)


def _taken_back(mean: float, half: float) -> Interval:
    """What is known of the logarithm; wider than anybody asks for, its high end is infinite."""
    high = math.exp(mean + half) if half < _WIDEST else math.inf
    return Interval(math.exp(mean), math.exp(mean - half), high)


def _quantile(confidence: float, freedom: int) -> float:
    """Of Student's distribution: how many standard errors an end lies from the estimate."""
    from scipy import stats

    return float(stats.t.ppf((1 + confidence) / 2, freedom))


def _log_error(found: Interval) -> float:
    """Standard error of the logarithm of what is known as a 95 % interval."""
    if not 0 < found.low <= found.high < math.inf:
        return math.inf
    return math.log(found.high / found.low) / (2 * 1.96)


def paired_difference(
    differences: Floats, reach: float, confidence: float = CONFIDENCE
) -> Interval:
    """Interval for the mean of ``source - candidate``, paired per sample.

    Student's, wider by what rare rows may do that were not met yet: see :func:`_guarded`.

    Args:
        differences: Source minus candidate, of each row.
        reach: What a row can lose or win, above 0, or the interval may have no width.
        confidence: Of the interval.
    """
    rows, mean = len(differences), float(differences.mean())
    if rows < 2:
        return Interval(mean, -math.inf, math.inf)
    quantile = _quantile(confidence, rows - 1)
    error = float(differences.std(ddof=1)) / math.sqrt(rows)
    return _guarded(mean, error, reach / rows, quantile)


def _guarded(estimate: float, error: float, stray: float, quantile: float) -> Interval:
    """Student's interval, wider by what rare rows may do that were not met yet.

    Of them the spread of those that were met tells nothing. The lower end has half a count more at
    plus and minus ``stray``, as of scores of 0 and 1 that of Agresti and Min (2005, "Simple
    improved confidence intervals for comparing matched proportions"). The upper end, by which a
    limit is called kept, has the quantile squared in place of the count, as the score interval of
    Tango (1998, "Equivalence test and confidence interval for the difference in proportions for
    the paired-sample design"): where no row differs it is near the exact bound, of which the other
    reaches half.

    Args:
        estimate: Of a drop.
        error: Its standard error, by the rows that were met.
        stray: What one row that comes out otherwise adds or takes.
        quantile: Of Student's distribution.
    """
    low = estimate - quantile * math.hypot(error, stray)
    return Interval(estimate, low, estimate + quantile * math.hypot(error, quantile * stray))


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
        stray: What one row that comes out otherwise adds to the statistic or takes from it; see
            :func:`_guarded`.

    Raises:
        MetricError: The statistic fails on all rows, or on most of the resamples.
    """
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
    # Nor do few resamples know the error better than as many rows would.
    freedom = min(count, len(draws)) - 1
    return _guarded(estimate, spread, stray, _quantile(confidence, freedom))


def _resample(
    rng: np.random.Generator, rows: int, groups: Sequence[npt.NDArray[np.int64]] | None
) -> npt.NDArray[np.int64]:
    """Row indices drawn with replacement, one by one or a group at a time."""
    if groups is None:
        return rng.integers(0, rows, rows)
    return np.concatenate([groups[i] for i in rng.integers(0, len(groups), len(groups))])
