"""What a noun's gloss is about: the data and the metric of this study.

The model gives a vector for each token. As in its sentence-transformers settings, their mean over
the sentence, scaled to length one, is the sentence's embedding; a linear probe that was fitted to
the source model's embeddings tells the class from it.
"""

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
TOKENS = 64


def load_data() -> dict[str, dict[str, np.ndarray]]:
    """Token ids and mask, int64 ``[N, 64]``; labels ``[N, 2]`` are class and number of tokens.

    The rows of ``train`` have no labels: there the source model's outputs are the teacher.
    """
    splits: dict[str, dict[str, np.ndarray]] = {}
    with np.load(FOLDER / "data.npz") as archive:
        for split in ("train", "calibration", "search", "confirm"):
            ids = archive[f"{split}/input_ids"].astype(np.int64)
            lengths = archive[f"{split}/lengths"].astype(np.int64)
            splits[split] = {
                "input_ids": ids,
                "attention_mask": (np.arange(TOKENS) < lengths[:, None]).astype(np.int64),
            }
            if split in ("search", "confirm"):
                classes = archive[f"{split}/classes"].astype(np.int64)
                splits[split]["labels"] = np.stack([classes, lengths], axis=1)
    return splits


def embeddings(hidden: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Mean of each row's tokens, scaled to length one: ``[N, 64, 384]`` to ``[N, 384]``."""
    mask = (np.arange(hidden.shape[1]) < lengths[:, None]).astype(np.float32)
    total = np.einsum("ntd,nt->nd", hidden.astype(np.float32), mask)
    return total / np.linalg.norm(total, axis=1, keepdims=True)


def probe_accuracy(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether the probe finds each row's class in the embedding, 1.0 or 0.0 ``[N]``."""
    with np.load(FOLDER / "probe.npz") as probe:
        scores = embeddings(outputs, labels[:, 1]) @ probe["weight"].T + probe["bias"]
    return (scores.argmax(axis=1) == labels[:, 0]).astype(np.float64)
