"""Where an output holds channels, and whether two outputs agree in each of them.

One output often mixes scales, such as boxes in pixels and scores between 0 and 1. What is measured
by the scale of the whole, the small ones may lose unseen.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

MOST_GROUPS = 1024
FLOAT32_NOISE = 1e-6
"""Of sums in float32, as a share of their largest terms."""
_LARGE = 0.1
_MASK = 1e9
_MASK_GAP = 1e3


def channel_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes of an output that may hold channels: what stands in a place has its own scale.

    They are the second and the last. Of two one is left out where it looks like a position: it has
    the size of its neighbour, as height and width have, or more than 1,024 places, as anchors.

    Args:
        shape: Of the output, rows first, of two dimensions or more.
    """
    axes = tuple(dict.fromkeys((1, len(shape) - 1)))
    if len(axes) == 1:
        return axes
    left = axes
    if len(shape) > 3:
        neighbours = {axes[0]: shape[2], axes[1]: shape[-2]}
        left = tuple(a for a in axes if shape[a] != neighbours[a]) or axes
    return tuple(a for a in left if shape[a] <= MOST_GROUPS) or left


def unmasked(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which values tell a scale.

    Not what is infinite, nor numbers from 1e9 on that stand far apart from all others: what a model
    masks, it often sets to ``-1e9`` or to the least number of its type.
    """
    finite = np.isfinite(values)
    magnitudes = np.abs(values, dtype=np.result_type(values, np.float32))
    masks = finite & (magnitudes >= _MASK)
    others = magnitudes[finite & ~masks]
    apart = others.size and magnitudes[masks].min(initial=np.inf) > _MASK_GAP * others.max()
    counted: npt.NDArray[np.bool_] = finite & ~masks if apart else finite
    return counted


def differing_channel(
    wanted: npt.NDArray[Any], found: npt.NDArray[Any], tolerance: float
) -> str | None:
    """The channel that differs most beyond what it may, in words; ``None`` where all agree.

    It is for outputs that agree as a whole, so that large channels differ little.

    A channel may differ by a share of its own largest magnitude. Beside that it may differ by
    rounding of what it was summed from, of which large channels tell: twice what those above a
    tenth of the largest magnitude differ by, and noise of float32 at that magnitude. So a score
    that happens to be near 0 among others, or what is left where large terms cancel, agrees.

    Args:
        wanted: Numbers, rows first; what :func:`unmasked` leaves out is not compared.
        found: Of the same shape.
        tolerance: Largest difference as a share of the largest magnitude in the channel.
    """
    if wanted.ndim < 2:
        return None
    dtype = np.result_type(wanted, found, np.float32)
    a, b = wanted.astype(dtype, copy=False), found.astype(dtype, copy=False)
    counted = unmasked(a)
    with np.errstate(invalid="ignore"):
        differences = np.where(counted, np.abs(a - b), 0.0)
    magnitudes = np.where(counted, np.abs(a), 0.0)
    greatest = magnitudes.max(initial=0.0)
    for axis in channel_axes(a.shape):
        others = tuple(i for i in range(a.ndim) if i != axis)
        scale = magnitudes.max(axis=others, initial=0.0)
        difference = differences.max(axis=others, initial=0.0)
        large = difference[scale >= _LARGE * greatest].max(initial=0.0)
        noise = 2 * large + FLOAT32_NOISE * (greatest + 1)
        excess = difference - tolerance * scale - noise
        if not (excess <= 0).all():
            worst = int(np.argmax(excess))
            return (
                f"channel {worst} of axis {axis} by {difference[worst]:.3g}, "
                f"at a scale of {scale[worst]:.3g}"
            )
    return None
