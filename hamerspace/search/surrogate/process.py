"""Gaussian processes over recipes, small enough to be fitted between two trials."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import linalg

from hamerspace.search.surrogate.features import Encoder, Floats

_WEIGHTS = (0.03, 0.15, 0.7, 3.0)
_MOST_WORK = 3e7
_MOST_TUNED = 150
_NOISES = (1e-4, 1e-3, 1e-2, 5e-2)


class Kernel:
    """The covariance of recipes: a product over columns of ``(1 + w s) / (1 + w)``.

    ``s`` is how alike two recipes are in a column, and ``w`` the column's weight. This is the ANOVA
    kernel (Stitson et al. 1999, "Support vector regression with ANOVA decomposition kernels"):
    columns act alone, in pairs, and so on. Over rows of indicators its logarithm is bilinear.

    Args:
        encoder: Whose rows are compared.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._slices = encoder.slices
        self._similarity = [column.similarity() for column in encoder.columns]
        self.weights = np.full(len(encoder.columns), 0.5)

    def __call__(self, a: Floats, b: Floats) -> Floats:
        """Covariance of rows ``[n, levels]`` and ``[m, levels]``: ``[n, m]``."""
        left = np.empty_like(a)
        for column, place in enumerate(self._slices):
            left[:, place] = a[:, place] @ self._logarithm(column, self.weights[column])
        return np.exp(left @ b.T)

    def factor(self, column: int, weight: float, rows: Floats) -> Floats:
        """What one column contributes among ``rows``, were this its weight: ``[n, n]``."""
        place = self._slices[column]
        levels = rows[:, place].argmax(axis=1)
        table = np.exp(self._logarithm(column, weight))
        found: Floats = table[np.ix_(levels, levels)]
        return found

    def varied(self, rows: Floats) -> Sequence[int]:
        """The columns in which rows differ at all."""
        return [c for c, place in enumerate(self._slices) if np.ptp(rows[:, place], axis=0).any()]

    def _logarithm(self, column: int, weight: float) -> Floats:
        found: Floats = np.log1p(weight * self._similarity[column]) - math.log1p(weight)
        return found


class Process:
    """Predicts one figure of recipes from those that were tried.

    Args:
        encoder: Makes the rows.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._kernel = Kernel(encoder)
        self._noise = 1e-2

    def fit(self, rows: Floats, values: Floats, noise: Floats, *, tune: bool) -> None:
        """Take in what was observed.

        Args:
            rows: ``[n, levels]``.
            values: ``[n]``.
            noise: ``[n]``, variance of each value on top of the common one.
            tune: Whether to choose the hyperparameters anew.
        """
        self._rows = rows
        self._mean = float(np.mean(values))
        self._scale = float(np.std(values)) or 1.0
        self._values = (values - self._mean) / self._scale
        self._extra = noise / self._scale**2
        if tune:
            self._tune()
        covariance, noise = self._kernel(rows, rows), self._extra + self._noise
        self._factor, self._alpha, _ = _solved(covariance, noise, self._values)

    def predict(self, rows: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the figure, ``[len(rows)]`` each.

        Deviations cost the square of the observations for each row. Where that is too much, rows of
        a low mean get theirs, and the others that of their likes: the greatest among them.
        """
        cross = self._kernel(self._rows, rows)
        mean = self._mean + self._scale * (cross.T @ self._alpha)
        count = max(int(_MOST_WORK / len(self._rows) ** 2), 1)
        if count >= len(rows):
            return mean, self._deviation(cross)
        closely = np.argpartition(mean, count)[:count]
        exact = self._deviation(cross[:, closely])
        deviation = np.full(len(rows), exact.max())
        deviation[closely] = exact
        return mean, deviation

    def _deviation(self, cross: Floats) -> Floats:
        explained = linalg.solve_triangular(self._factor, cross, lower=True, check_finite=False)
        variance = np.maximum(1.0 - np.einsum("ij,ij->j", explained, explained), 1e-6)
        found: Floats = self._scale * np.sqrt(variance)
        return found

    def _tune(self) -> None:
        """Take the likeliest weight of each column, one after the other, then the noise."""
        part = slice(None, None, -(-len(self._rows) // _MOST_TUNED))
        rows, values, extra = self._rows[part], self._values[part], self._extra[part]
        kernel = self._kernel
        covariance = kernel(rows, rows)
        best = _solved(covariance, extra + self._noise, values)[2]
        for column in kernel.varied(rows):
            rest = covariance / kernel.factor(column, float(kernel.weights[column]), rows)
            for weight in _WEIGHTS:
                changed = rest * kernel.factor(column, weight, rows)
                found = _solved(changed, extra + self._noise, values)[2]
                if found > best:
                    best, covariance, kernel.weights[column] = found, changed, weight
        noises = (*_NOISES, self._noise)
        self._noise = max(noises, key=lambda n: _solved(covariance, extra + n, values)[2])


def _solved(covariance: Floats, noise: Floats, values: Floats) -> tuple[Floats, Floats, float]:
    """The factor, the weights of the observations, and the logarithm of the likelihood.

    Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning", algorithm 2.1.
    """
    noisy = covariance.copy()
    noisy[np.diag_indices_from(noisy)] += noise
    factor = linalg.cholesky(noisy, lower=True, overwrite_a=True, check_finite=False)
    alpha = linalg.cho_solve((factor, True), values, check_finite=False)
    likelihood = -0.5 * float(values @ alpha) - float(np.log(np.diag(factor)).sum())
    return factor, alpha, likelihood
