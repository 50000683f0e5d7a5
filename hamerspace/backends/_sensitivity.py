"""Rank the layers of a model by what quantising each alone does to the outputs.

One layer at a time is quantised while all others stay in floating point, as in the sensitivity
analysis of Wu et al. 2020, *Integer Quantization for Deep Learning Inference*, section 5.1
(<https://arxiv.org/abs/2004.09602>). They judge by accuracy, which needs labels and many rows;
here a layer's error is the mean squared difference of the outputs over their mean square, which
is the inverse of the signal-to-quantisation-noise ratio.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from hamerspace.errors import BuildError
from hamerspace.tasks.model import Arrays, TensorSpec

ROWS = 32
"""Calibration rows that a ranking looks at."""

MAX_LAYERS = 150
"""Layers that are ranked at most; of a model with more, those with the most weights."""

# Each layer costs a model that is written and loaded again, which takes time by its size.
_MIN_LAYERS = 8
_MAX_WEIGHTS = 500_000_000

Run = Callable[[Arrays], Arrays]


def rank(
    layers: Mapping[str, int],
    exact: Run,
    batches: Sequence[Arrays],
    quantize_only: Callable[[str], Run],
) -> list[tuple[str, float]]:
    """Return layer and error, the most sensitive layer first.

    Args:
        layers: Number of weights by layer.
        exact: Runs the float model.
        batches: Inputs.
        quantize_only: Makes the model in which that layer alone is quantised.

    Raises:
        BuildError: There is no layer.
    """
    if not layers:
        raise BuildError("the model has no layer that this scheme quantises: nothing to rank")
    expected = [exact(batch) for batch in batches]
    ranked = []
    for name in largest(layers):
        run = quantize_only(name)
        ranked.append((name, relative_error(expected, [run(batch) for batch in batches])))
    return sorted(ranked, key=lambda entry: -entry[1])


def largest(layers: Mapping[str, int]) -> list[str]:
    """The names with the most weights, in the given order; fewer of a large model."""
    total = max(sum(layers.values()), 1)
    count = min(MAX_LAYERS, max(_MIN_LAYERS, _MAX_WEIGHTS // total))
    by_weights = sorted(layers, key=lambda name: -layers[name])[:count]
    chosen = set(by_weights)
    return [name for name in layers if name in chosen]


def relative_error(expected: Sequence[Arrays], found: Sequence[Arrays]) -> float:
    """Mean squared difference over mean square of each output, averaged over the outputs.

    Entries that are not finite in ``expected``, such as masked scores, do not count; those that
    are not finite in ``found`` alone make the error infinite.
    """
    errors = []
    for name in expected[0]:
        noise = power = 0.0
        for wanted, got in zip(expected, found, strict=True):
            a = np.asarray(wanted[name], np.float64)
            b = np.asarray(got[name], np.float64)
            finite = np.isfinite(a)
            noise += float(np.square(b[finite] - a[finite]).sum())
            power += float(np.square(a[finite]).sum())
        errors.append(noise / power if power else noise)
    error = float(np.mean(errors))
    return error if np.isfinite(error) else float("inf")


def ranking_batches(calibration: Sequence[Arrays], inputs: Sequence[TensorSpec]) -> list[Arrays]:
    """As many calibration batches as hold :data:`ROWS` rows."""
    rowed = next((spec.name for spec in inputs if not spec.constant), inputs[0].name)
    rows = len(calibration[0][rowed])
    return list(calibration[: max(1, -(-ROWS // rows))])


def check_known(float_layers: Sequence[str], known: Collection[str], where: str) -> None:
    """Refuse names that a model does not have.

    Raises:
        BuildError: A name is unknown.
    """
    unknown = [name for name in float_layers if name not in known]
    if unknown:
        raise BuildError(f"{where} has no layer named {', '.join(map(repr, unknown))} to keep")
