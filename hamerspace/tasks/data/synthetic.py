"""Random inputs for a model that comes without data."""

from pathlib import Path

import numpy as np

from hamerspace.errors import DataError
from hamerspace.tasks.data.splits import Splits, write_splits
from hamerspace.tasks.model import TensorSpec

MOST_BYTES = 256_000_000
"""Of the inputs of a split, which are held in memory as they are drawn."""
_LEAST_ROWS = 4
ROWS = 128
"""Of search and of confirm each."""
CALIBRATION_ROWS = 64

WARNING = (
    "THERE ARE NO DATA: every figure of quality is agreement with the source model on "
    "RANDOM inputs; on real data the compressed models may be much worse. Give task.data "
    "(--data FILE.npz) before any of them is used."
)


def random_data(inputs: tuple[TensorSpec, ...], folder: Path, seed: int, batch_size: int) -> Splits:
    """Draw seeded random inputs, see :meth:`TensorSpec.sample`, with a warning.

    Args:
        inputs: Of the model. Free dimensions past the batch become 16.
        folder: Where the files go.
        seed: Seeds the draw.
        batch_size: The deployment batch size.

    Raises:
        DataError: An input has no batch dimension.
    """
    for spec in inputs:
        if not spec.shape:
            raise DataError(f"input '{spec.name}' has no batch dimension; random data need one")
    rng = np.random.default_rng(seed)
    row_bytes = sum(spec.sample(1, np.random.default_rng(0)).nbytes for spec in inputs)
    fit = max(MOST_BYTES // max(row_bytes, 1), _LEAST_ROWS)
    rows, notes = ROWS, tuple[str, ...]()
    if fit < rows:
        rows = fit // batch_size * batch_size or fit
        notes = (f"A row takes so many bytes that only {rows} were drawn a split.",)
    counts = {"calibration": min(CALIBRATION_ROWS, rows), "search": rows, "confirm": rows}
    splits = {
        split: {spec.name: spec.sample(count, rng) for spec in inputs}
        for split, count in counts.items()
    }
    made = write_splits(folder, splits, None, notes, batch_size, synthetic=True)
    return made.with_notes((), (WARNING,))
