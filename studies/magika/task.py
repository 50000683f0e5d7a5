"""File types told from content: the data of this study."""

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent


def load_data() -> dict[str, dict[str, np.ndarray]]:
    """Tokens int32 ``[N, 2048]`` (a byte, or 256 for padding) and indices into ``labels.json``."""
    splits: dict[str, dict[str, np.ndarray]] = {}
    with np.load(FOLDER / "data.npz") as archive:
        for split in ("calibration", "search", "confirm"):
            splits[split] = {
                "bytes": archive[f"{split}/bytes"].astype(np.int32),
                "labels": archive[f"{split}/labels"].astype(np.int64),
            }
    return splits
