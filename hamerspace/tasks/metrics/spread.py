"""How much a source model's outputs vary, by channel: what differences are measured by.

One output often mixes scales, such as boxes in pixels and scores between 0 and 1. A difference
counts by the spread of its own channel over the rows, or one of small values could die unseen.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hamerspace.errors import MetricError
from hamerspace.tasks.channels import FLOAT32_NOISE, MOST_GROUPS, channel_axes
from hamerspace.tasks.metrics.base import PerSample
from hamerspace.tasks.metrics.rows import Array, blocks

_SHARED_FLOOR = 0.1
_DEAD = 1e-6
_COUNTS = 0.1
_ROUNDING = 2.0**-8
"""Of the magnitude: eight units in the last place of float16."""


@dataclass(frozen=True)
class Channels:
    """Variances of an output over the rows, by channel of one axis.

    The variance is about the mean of each place, so that a model that gives the same whatever it is
    shown has lost all of it, however much places differ.

    Attributes:
        axis: Of the channels, see :func:`~hamerspace.tasks.channels.channel_axes`.
        variance: Of each channel.
        low: The least value of each.
        high: The greatest.
    """

    axis: int
    variance: PerSample
    low: PerSample
    high: PerSample

    @cached_property
    def magnitude(self) -> PerSample:
        """The greatest of each, whatever its sign."""
        return np.maximum(abs(self.low), abs(self.high))

    @cached_property
    def constant(self) -> Array:
        """Whether each is the same in all rows, but for noise of float32."""
        noise = FLOAT32_NOISE * np.maximum(self.magnitude, 0.1 * self.magnitude.max())
        within: Array = self.variance <= np.square(noise)
        return within

    @cached_property
    def scale(self) -> PerSample:
        """What a mean squared difference of each is divided by.

        That is its variance, and at least what half precision rounds to. Channels between 0 and 1
        share a unit, so that of one that hardly varies is at least that of a tenth of their common
        spread. A constant channel, which has none, is measured by its own magnitude, and zeros by
        that of the output.
        """
        magnitude, greatest = self.magnitude, self.magnitude.max()
        own = np.where(magnitude > FLOAT32_NOISE * greatest, magnitude, greatest)
        rounding = np.square(_ROUNDING * magnitude)
        scale = np.where(self.constant, np.square(own), np.maximum(self.variance, rounding))
        shares = (self.low >= 0) & (self.high <= 1)
        if (shares & ~self.constant).any():
            common = self.variance[shares & ~self.constant].mean()
            scale = np.where(shares, np.maximum(scale, _SHARED_FLOOR**2 * common), scale)
        return scale


@dataclass(frozen=True)
class Spread:
    """How much an output varies: its channels, by each axis that holds some."""

    channels: tuple[Channels, ...]

    @classmethod
    def of(cls, outputs: Array) -> "Spread":
        """Of outputs ``[N, ...]``."""
        moments = Moments()
        moments.add(outputs)
        return moments.spread()

    @property
    def still(self) -> bool:
        """Whether nothing varies."""
        return all(channels.constant.all() for channels in self.channels)

    def dead_in(self, candidate: "Spread") -> list[str]:
        """The channels that vary here and not in a candidate, in words.

        One that varies too little to lose a tenth of the quality by its death is none of them.
        """
        found = []
        for mine, theirs in zip(self.channels, candidate.channels, strict=True):
            counts = ~mine.constant & (mine.variance >= _COUNTS * mine.scale)
            dead = np.flatnonzero(counts & (theirs.variance <= _DEAD**2 * mine.variance))
            if len(dead):
                listed = ", ".join(map(str, dead[:8])) + (", ..." if len(dead) > 8 else "")
                found.append(
                    f"{len(dead)} of {len(counts)} channels of axis {mine.axis} ({listed})"
                )
        return found


class Moments:
    """Moments and ends of each place of an output over the rows, which come a part at a time.

    Those of two parts are joined as Chan, Golub and LeVeque 1983 do ("Algorithms for computing the
    sample variance: analysis and recommendations", The American Statistician 37).
    """

    _mean: PerSample
    _squares: PerSample
    _low: PerSample
    _high: PerSample

    def __init__(self) -> None:
        self._rows = 0

    def add(self, outputs: Array) -> None:
        """Take in further rows ``[n, ...]``."""
        outputs = _two_dimensional(outputs)
        with np.errstate(invalid="ignore", over="ignore"):
            for block in blocks(outputs):
                self._add(outputs[block].astype(np.float64))

    def _add(self, values: PerSample) -> None:
        before, self._rows = self._rows, self._rows + len(values)
        mean = values.sum(axis=0) / len(values)
        squares = np.square(values - mean).sum(axis=0)
        low, high = values.min(axis=0), values.max(axis=0)
        if before:
            gap, share = mean - self._mean, len(values) / self._rows
            mean = self._mean + share * gap
            squares += self._squares + before * share * np.square(gap)
            low, high = np.minimum(low, self._low), np.maximum(high, self._high)
        self._mean, self._squares, self._low, self._high = mean, squares, low, high

    def spread(self) -> Spread:
        """By channel."""
        shape = (self._rows, *self._mean.shape)
        found = []
        for axis in channel_axes(shape):
            others = tuple(a - 1 for a in range(1, len(shape)) if a != axis)
            variance = (self._squares / self._rows).mean(axis=others)
            low, high = self._low.min(axis=others), self._high.max(axis=others)
            found.append(Channels(axis, variance, low, high))
        return Spread(tuple(found))


def channel_errors(outputs: Array, wanted: Array, spread: Spread) -> PerSample:
    """Mean squared differences of each row and channel over the channel's scale: ``[N, groups]``.

    The channels of all axes stand one after the other. Of an axis of more than 1,024, neighbours
    are averaged.

    Raises:
        MetricError: Every channel is constant.
    """
    if spread.still:
        raise MetricError(
            "the source model gives the same in all rows, so there is no variance to measure a "
            "difference by; give rows that differ, or write a metric (module:function)"
        )
    outputs, wanted = _two_dimensional(outputs), _two_dimensional(wanted)
    squares, found = np.square(outputs.astype(np.float64) - wanted), []
    for channels in spread.channels:
        others = tuple(a for a in range(1, squares.ndim) if a != channels.axis)
        errors = squares.mean(axis=others) / channels.scale
        size = errors.shape[1]
        together = -(-size // MOST_GROUPS)
        if together > 1:
            starts = np.arange(0, size, together)
            counts = np.diff(starts, append=size)
            errors = np.add.reduceat(errors, starts, axis=1) / counts
        found.append(errors)
    return np.concatenate(found, axis=1)


def _two_dimensional(outputs: Array) -> Array:
    return outputs[:, None] if outputs.ndim == 1 else outputs
