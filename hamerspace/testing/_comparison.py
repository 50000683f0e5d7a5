"""How near the outputs of a candidate are to those of its source."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hamerspace.backends import BACKENDS, wrap_source
from hamerspace.tasks.metrics.spread import Spread
from hamerspace.tasks.model import Arrays, ModelArtifact, TensorSpec


@dataclass(frozen=True)
class Tolerance:
    """How near an output must be to the source model's.

    Attributes:
        min_correlation: Least Pearson correlation of all values of one output.
        max_abs_error: Greatest absolute difference; ``None`` is no bound.
    """

    min_correlation: float
    max_abs_error: float | None = None


def random_batch(source: ModelArtifact, rows: int, seed: int) -> dict[str, npt.NDArray[Any]]:
    """One seeded batch of a model's inputs; a fixed batch dimension wins over ``rows``."""
    rng = np.random.default_rng(seed)
    return {
        spec.name: spec.sample(rows if spec.shape[0] is None else spec.shape[0], rng)
        for spec in source.inputs
    }


def compare(
    case: str,
    found: Sequence[Arrays],
    expected: Sequence[Arrays],
    source: ModelArtifact,
    tolerance: Tolerance,
) -> None:
    for outputs, wanted in zip(found, expected, strict=True):
        assert list(outputs) == [spec.name for spec in source.outputs], case
        for spec in source.outputs:
            where, array = f"{case}: output {spec.name}", outputs[spec.name]
            floating = np.dtype(spec.dtype).kind == "f"
            allowed = ("float32", "float64") if floating else (spec.dtype,)
            assert array.dtype.name in allowed, f"{where} is {array.dtype}"
            assert array.shape == wanted[spec.name].shape, f"{where} has shape {array.shape}"
            assert np.isfinite(array).all(), f"{where} is not finite"
    for spec in source.outputs:
        where = f"{case}: output {spec.name}"
        a, b = (
            np.concatenate([outputs[spec.name].ravel() for outputs in side]).astype(float)
            for side in (found, expected)
        )
        if tolerance.max_abs_error is not None:
            error = float(np.abs(a - b).max())
            assert error <= tolerance.max_abs_error, f"{where} is off by {error:.2g}"
        # All values together do not show that small channels beside large ones are lost.
        if np.dtype(spec.dtype).kind == "f" and spec.row_axis is not None:
            ours, theirs = (
                Spread.of(np.concatenate([_rows(outputs, spec) for outputs in side]))
                for side in (found, expected)
            )
            dead = theirs.dead_in(ours)
            assert not dead, f"{where}: {' and '.join(dead)} are the same in all rows"
        # A constant correlates with nothing.
        if b.std() > 0:
            correlation = float(np.corrcoef(a, b)[0, 1])
            assert correlation >= tolerance.min_correlation, (
                f"{where} correlates by {correlation:.4f} with the source's"
            )


def _rows(outputs: Arrays, spec: TensorSpec) -> npt.NDArray[Any]:
    return np.moveaxis(outputs[spec.name], spec.row_axis or 0, 0)


class RunsModels:
    """A suite whose tests run models of any format."""

    def run(self, model: ModelArtifact, batch: Arrays) -> Arrays:
        """A model's outputs, in the backend that runs it as it is.

        Override it where no backend can run one in the tests' own process.
        """
        candidate = wrap_source(model)
        backend = BACKENDS.load(candidate.backend).create()
        return copy_arrays(backend.load(candidate, threads=1).run(batch))


def copy_arrays(arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
    return {name: np.array(array) for name, array in arrays.items()}


def assert_equal(what: str, found: Arrays, wanted: Arrays) -> None:
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array, err_msg=f"{what}, {name}")
