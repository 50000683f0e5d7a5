"""Random inputs for a model that comes without data."""

from pathlib import Path

import numpy as np

from hamerspace.errors import DataError
from hamerspace.tasks.data.splits import Splits, write_splits
from hamerspace.tasks.model import TensorSpec

WARNING = (
    "WARNING: THERE ARE NO DATA. Every figure of quality is agreement with the source model on "
    "RANDOM inputs; on real data the compressed models may be much worse. Give task.data "
    "(--data FILE.npz) before any of them is used."
)


def random_data(
    inputs: tuple[TensorSpec, ...],
    folder: Path,
    seed: int,
    batch_size: int,
    *,
    rows: int = 128,
    calibration_rows: int = 64,
) -> Splits:
    """Draw seeded random inputs, see :meth:`TensorSpec.sample`, with a warning in the notes.

    Args:
        inputs: Of the model. Free dimensions past the batch become 16.
        folder: Where the files go.
        seed: Seeds the draw.
        batch_size: The deployment batch size.
        rows: Of search and of confirm each.
        calibration_rows: Of calibration.

    Raises:
        DataError: An input has no batch dimension.
    """
    for spec in inputs:
        if not spec.shape:
            raise DataError(f"input '{spec.name}' has no batch dimension; random data need one")
    rng = np.random.default_rng(seed)
    counts = {"calibration": calibration_rows, "search": rows, "confirm": rows}
    splits = {
        split: {spec.name: spec.sample(count, rng) for spec in inputs}
        for split, count in counts.items()
    }
    return write_splits(folder, splits, None, (WARNING,), batch_size, synthetic=True)
