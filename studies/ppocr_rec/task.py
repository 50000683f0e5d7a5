"""Words read from small images: the data and the metric of this study."""

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
BLANK = 0


def enlarged(images: np.ndarray) -> np.ndarray:
    """Twice the height and width by linear interpolation, uint8 to float32 ``[N, 48, 160]``."""
    grown = images.astype(np.float32)
    for axis in (1, 2):
        last = grown.shape[axis] - 1
        at = np.clip((np.arange(2 * (last + 1)) + 0.5) / 2 - 0.5, 0, last)
        low = np.floor(at).astype(int)
        shape = [1, 1, 1]
        shape[axis] = -1
        share = (at - low).reshape(shape).astype(np.float32)
        high = np.minimum(low + 1, last)
        grown = grown.take(low, axis) * (1 - share) + grown.take(high, axis) * share
    return grown


def load_data() -> dict[str, dict[str, np.ndarray]]:
    """Images float32 ``[N, 3, 48, 160]`` in [-1, 1]; labels are classes, 0 after the last."""
    splits: dict[str, dict[str, np.ndarray]] = {}
    with np.load(FOLDER / "data.npz") as archive:
        for split in ("calibration", "search", "confirm"):
            grey = enlarged(archive[f"{split}/image"]) / 127.5 - 1
            splits[split] = {
                "x": np.repeat(grey[:, None], 3, axis=1),
                "labels": archive[f"{split}/labels"].astype(np.int64),
            }
    return splits


def character_error_rate(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Edits that turn each word read into the word written, per character of the latter ``[N]``.

    Args:
        outputs: Scores ``[N, steps, classes]``; each step's best class is taken, repeats and then
            blanks are dropped (Graves et al. 2006, best path decoding).
        labels: Classes ``[N, characters]``, filled up with 0.
    """
    best = outputs.argmax(axis=2)
    changed = np.pad(best[:, 1:] != best[:, :-1], ((0, 0), (1, 0)), constant_values=True)
    kept = changed & (best != BLANK)
    return np.array(
        [
            edits(path[keep].tolist(), label[label != BLANK].tolist()) / (label != BLANK).sum()
            for path, keep, label in zip(best, kept, labels, strict=True)
        ]
    )


def edits(read: list[int], written: list[int]) -> int:
    """Levenshtein distance: insertions, deletions and substitutions."""
    row = list(range(len(written) + 1))
    for i, have in enumerate(read, start=1):
        diagonal, row[0] = row[0], i
        for j, want in enumerate(written, start=1):
            diagonal, row[j] = (
                row[j],
                min(row[j] + 1, row[j - 1] + 1, diagonal + (have != want)),
            )
    return row[-1]
