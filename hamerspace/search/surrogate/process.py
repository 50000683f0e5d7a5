"""Gaussian processes over recipes, small enough to be fitted between two trials."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg

from hamerspace.search.surrogate.features import Floats, similarities

_WEIGHTS = (0.05, 0.3, 1.0, 4.0)
_NOISES = (1e-4, 1e-2, 5e-2)


@dataclass
class Fitted:
    """Hyperparameters that survive from one fit to the next.

    Attributes:
        weights: How much each column matters.
        noise: Variance of the observations, over that of the values.
    """

    weights: Floats
    noise: float


class Process:
    """Predicts one figure of recipes from those that were tried.

    The covariance of two recipes is the product over the columns of ``(1 + w s) / (1 + w)``, with
    ``s`` how alike they are in the column and ``w`` its weight: the ANOVA kernel (Stitson et al.
    1999, "Support vector regression with ANOVA decomposition kernels"), in which columns act
    alone, in pairs, and so on. Weights are those of the largest marginal likelihood on a grid, one
    column after the other (Rasmussen and Williams 2006, equation 2.30).

    Args:
        numeric: Of each column, whether its values have an order.
    """

    def __init__(self, numeric: npt.NDArray[np.bool_]) -> None:
        self._numeric = numeric
        self.fitted = Fitted(np.full(len(numeric), 0.5), 1e-2)

    def fit(self, rows: Floats, values: Floats, noise: Floats, *, tune: bool) -> None:
        """Take in what was observed.

        Args:
            rows: ``[n, columns]``.
            values: ``[n]``.
            noise: ``[n]``, variance of each value on top of the common one.
            tune: Whether to choose the hyperparameters anew.
        """
        self._rows = rows
        self._mean = float(np.mean(values))
        self._scale = float(np.std(values)) or 1.0
        self._values = (values - self._mean) / self._scale
        self._extra = noise / self._scale**2
        alike = similarities(rows, rows, self._numeric)
        if tune:
            self._tune(alike)
        self._solve(self._covariance(alike))

    def predict(self, rows: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the figure, ``[len(rows)]`` each."""
        cross = self._covariance(similarities(self._rows, rows, self._numeric))
        mean = cross.T @ self._alpha
        explained = linalg.solve_triangular(self._factor, cross, lower=True, check_finite=False)
        variance = np.maximum(1.0 - np.sum(explained**2, axis=0), 1e-6)
        return self._mean + self._scale * mean, self._scale * np.sqrt(variance)

    def _covariance(self, alike: Floats) -> Floats:
        weights = self.fitted.weights[:, None, None]
        covariance: Floats = np.prod((1.0 + weights * alike) / (1.0 + weights), axis=0)
        return covariance

    def _solve(self, covariance: Floats) -> float:
        """Factor the covariance; return the logarithm of the marginal likelihood."""
        count = len(self._values)
        noisy = covariance + np.diag(self._extra + self.fitted.noise)
        self._factor = linalg.cholesky(noisy, lower=True, check_finite=False)
        self._alpha = linalg.cho_solve((self._factor, True), self._values, check_finite=False)
        fit = float(self._values @ self._alpha)
        return -0.5 * (
            fit + 2 * float(np.log(np.diag(self._factor)).sum()) + count * math.log(2 * math.pi)
        )

    def _tune(self, alike: Floats) -> None:
        """Go once over the columns, and take the best weight of each; then the best noise."""
        best = self._solve(self._covariance(alike))
        for column, similar in enumerate(alike):
            if similar.min() == similar.max():
                continue  # nothing was varied yet
            old = float(self.fitted.weights[column])
            rest = self._covariance(alike) * (1.0 + old) / (1.0 + old * similar)
            for weight in _WEIGHTS:
                found = self._solve(rest * (1.0 + weight * similar) / (1.0 + weight))
                if found > best:
                    best, self.fitted.weights[column] = found, weight
        covariance = self._covariance(alike)
        for noise in _NOISES:
            old_noise, self.fitted.noise = self.fitted.noise, noise
            found = self._solve(covariance)
            if found > best:
                best = found
            else:
                self.fitted.noise = old_noise
