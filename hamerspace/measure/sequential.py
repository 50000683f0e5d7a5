"""A one-sided group-sequential test: looks at a growing sample that together keep one level.

At a look at ``n`` rows the statistic is the mean over its standard error. Of two looks the
statistics correlate by the square root of the ratio of their rows, so that a boundary can spend
exactly the level, where Bonferroni's pays for looks as if they were independent (Armitage,
McPherson and Rowe 1969; Jennison and Turnbull 2000, chapters 2 and 19).
"""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

Boundary = Callable[[tuple[int, ...]], tuple[float, ...]]
"""The rows of the looks that may reject to their bounds on the standard normal statistic."""

LEVEL = 0.025
"""Most chance that any look rejects a candidate that in truth just keeps the limit."""

_NODES = 96
_REACH = 8.0
"""Standard deviations below which no mass is left."""


def crossing_probability(rows: Sequence[int], bounds: Sequence[float]) -> float:
    """Chance that the statistic of any look lies above its bound, with a true mean of zero.

    The density of the sum over rows, as far as no look has ended the test, is carried from look
    to look by Gauss-Legendre quadrature.

    Args:
        rows: Rows of each look, growing.
        bounds: Of the standard normal statistic at each look.
    """
    from scipy import stats

    points, weights = np.polynomial.legendre.leggauss(_NODES)
    sums, mass = np.zeros(1), np.ones(1)
    crossed, seen = 0.0, 0
    for count, bound in zip(rows, bounds, strict=True):
        spread, low, high = (count - seen) ** 0.5, -_REACH * count**0.5, bound * count**0.5
        crossed += float(mass @ stats.norm.sf((high - sums) / spread))
        grid = low + (high - low) * (points + 1) / 2
        density = stats.norm.pdf((grid[:, None] - sums) / spread) / spread
        mass = (density @ mass) * weights * (high - low) / 2
        sums, seen = grid, count
    return crossed


@cache
def constant_boundary(rows: tuple[int, ...], level: float = LEVEL) -> tuple[float, ...]:
    """The same bound at each look (Pocock 1977), for the looks as they are spaced.

    Args:
        rows: Rows of each look that may reject, growing.
        level: Chance of rejecting at any of them with a true mean of zero.
    """
    from scipy import optimize, stats

    if not rows:
        return ()

    def excess(bound: float) -> float:
        return crossing_probability(rows, [bound] * len(rows)) - level

    single = float(stats.norm.isf(level))
    bonferroni = float(stats.norm.isf(level / len(rows)))
    if len(rows) == 1:
        return (single,)
    bound = float(optimize.brentq(excess, single, bonferroni, xtol=1e-6))
    return (bound,) * len(rows)


def two_sided_confidence(bound: float) -> float:
    """Confidence of an interval whose lower end lies ``bound`` standard errors down."""
    from scipy import stats

    return 1.0 - 2.0 * float(stats.norm.sf(bound))
