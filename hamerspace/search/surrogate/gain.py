"""How much of what is not dominated yet a candidate is expected to dominate."""

import numpy as np
from scipy import special

from hamerspace.search.surrogate.features import Floats

_POINTS = 2048


class Gain:
    """Expected improvement of the dominated volume, by points spread over the box.

    The volume of a box that a candidate with independent normal figures adds is the integral, over
    the points that nothing dominates yet, of the chance that the candidate does (Emmerich, Giannakoglou
    and Naujoks 2006, "Single- and multiobjective evolutionary optimization assisted by Gaussian
    random field metamodels"). The integral is taken over fixed points of a Sobol sequence.

    Args:
        dimensions: Number of objectives; less is better in each.
    """

    def __init__(self, dimensions: int) -> None:
        from scipy.stats import qmc

        self._points: Floats = qmc.Sobol(dimensions, seed=0).random(_POINTS)

    def expected(
        self, means: Floats, deviations: Floats, front: Floats, low: Floats, high: Floats
    ) -> Floats:
        """Share of the box that each candidate is expected to add, ``[candidates]``.

        Args:
            means: ``[candidates, dimensions]``.
            deviations: The same shape.
            front: ``[members, dimensions]``; what is dominated already.
            low: ``[dimensions]``, the ideal corner of the box.
            high: The reference corner: what is worse there adds nothing.
        """
        points = low + self._points * (high - low)
        if len(front):
            dominated = (front[:, None, :] <= points[None, :, :]).all(axis=2).any(axis=0)
            points = points[~dominated]
        total = np.zeros(len(means))
        if not len(points):
            return total
        chance = np.ones((len(means), len(points)))
        for axis in range(points.shape[1]):
            levels, position = np.unique(points[:, axis], return_inverse=True)
            scaled = (levels[None, :] - means[:, axis, None]) / deviations[:, axis, None]
            chance *= special.ndtr(scaled)[:, position]
        gain: Floats = chance.sum(axis=1) / _POINTS
        return gain
