"""How much of what is not dominated yet a candidate is expected to dominate."""

import numpy as np
from scipy import special

from hamerspace.search.surrogate.features import Floats

_MOST_CELLS = 8_000


def expected_gain(
    means: Floats, deviations: Floats, front: Floats, low: Floats, high: Floats
) -> Floats:
    """Volume of the box that each candidate is expected to add to what the front dominates.

    The coordinates of the front cut the box into cells, each of them dominated or not. A candidate
    with independent normal figures dominates a point with the product over the axes of
    ``Phi((z - mean) / deviation)``, whose integral over a cell is known (Emmerich, Giannakoglou and
    Naujoks 2006, "Single- and multiobjective evolutionary optimization assisted by Gaussian random
    field metamodels").

    Args:
        means: ``[candidates, axes]``; less is better.
        deviations: The same shape, above 0.
        front: ``[members, axes]``; what they dominate is gained already.
        low: ``[axes]``, the ideal corner of the box.
        high: ``[axes]``, the corner beyond which nothing counts.

    Returns:
        ``[candidates]``, as a share of the box.
    """
    edges, free = _cells(front, low, high)
    total = free[None]
    for axis, edge in reversed(list(enumerate(edges))):
        scaled = (edge[None, :] - means[:, axis, None]) / deviations[:, axis, None]
        density = np.exp(-0.5 * scaled**2) / np.sqrt(2 * np.pi)
        primitive = deviations[:, axis, None] * (scaled * special.ndtr(scaled) + density)
        widths = np.diff(primitive, axis=1) / (high[axis] - low[axis])
        # From the last axis to the first, each sum takes one axis of the cells away.
        total = np.einsum(
            "m...i,mi->m...", np.broadcast_to(total, (len(means), *total.shape[1:])), widths
        )
    gain: Floats = total
    return gain


def dominated_share(front: Floats, low: Floats, high: Floats) -> float:
    """Share of the box between ``low`` and ``high`` that the members of a front dominate."""
    if not len(front):
        return 0.0
    edges, free = _cells(front, low, high)
    for axis, edge in reversed(list(enumerate(edges))):
        free = free @ (np.diff(edge) / (high[axis] - low[axis]))
    return 1.0 - float(free)


def _most(axes: int) -> int:
    """Cuts of an axis that keep the number of cells bounded."""
    root: int = round(
        _MOST_CELLS ** (1 / axes)
    )  # the power is a little off: 19.99... of three axes
    return root if root**axes <= _MOST_CELLS else root - 1


def _edges(values: Floats, low: float, high: float, most: int) -> Floats:
    """Where an axis is cut: at every member of the front, or at ``most`` of them."""
    inner = np.unique(values[(values > low) & (values < high)])
    if len(inner) > most - 1:
        inner = inner[np.linspace(0, len(inner) - 1, most - 1).round().astype(int)]
    return np.concatenate([[low], inner, [high]])


def _cells(front: Floats, low: Floats, high: Floats) -> tuple[list[Floats], Floats]:
    """Where each axis is cut; and 1 for each cell that no member dominates, else 0.

    The cells have an axis for each axis of the box.
    """
    front, axes = np.clip(front, low, high), len(low)
    edges = [_edges(front[:, axis], low[axis], high[axis], _most(axes)) for axis in range(axes)]
    middles = [(edge[1:] + edge[:-1]) / 2 for edge in edges]
    free = np.ones([len(middle) for middle in middles])
    for member in front:
        dominated = np.ones_like(free, dtype=bool)
        for axis, middle in enumerate(middles):
            shape = [1] * len(middles)
            shape[axis] = -1
            dominated = dominated & (middle >= member[axis]).reshape(shape)
        free[dominated] = 0.0
    return edges, free
