"""Make the study's data from WordNet's glosses, and fit the probe.

Needs the model in ``model/`` (see fetch.py), the package tokenizers, and Debian's package
``wordnet-base``. Run in this folder::

    python make_data.py
"""

from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from task import FOLDER, TOKENS, embeddings
from tokenizers import Tokenizer
from transformers import AutoModel

NOUNS = Path("/usr/share/wordnet/data.noun")
FIRST_CLASS, CLASSES = 3, 26
MOST_OF_A_CLASS = 260
ROWS = {"train": 256, "calibration": 128, "search": 600, "confirm": 1200}


def glosses() -> dict[int, list[str]]:
    """Definitions without their examples, by the lexicographer file of nouns (lexnames(5WN))."""
    found = defaultdict(list)
    for line in NOUNS.read_text().splitlines():
        if not line.startswith(" "):
            fields, _, gloss = line.partition(" | ")
            definition = gloss.partition('; "')[0].strip()
            found[int(fields.split()[1]) - FIRST_CLASS].append(definition)
    return found


def embed(ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    model = AutoModel.from_pretrained(FOLDER / "model").eval()
    parts = []
    for start in range(0, len(ids), 64):
        rows, counts = ids[start : start + 64], lengths[start : start + 64]
        width = int(counts.max())
        mask = torch.from_numpy((np.arange(width) < counts[:, None]).astype(np.int64))
        inputs = torch.from_numpy(rows[:, :width].astype(np.int64))
        with torch.no_grad():
            hidden = model(input_ids=inputs, attention_mask=mask).last_hidden_state
        parts.append(embeddings(hidden.numpy(), counts))
    return np.concatenate(parts)


def main() -> None:
    rng = np.random.default_rng(0)
    texts, classes = [], []
    for index, definitions in sorted(glosses().items()):
        distinct = list(dict.fromkeys(definitions))
        chosen = rng.permutation(len(distinct))[:MOST_OF_A_CLASS]
        texts += [distinct[i] for i in chosen]
        classes += [index] * len(chosen)
    order = rng.permutation(len(texts))
    texts, labels = [texts[i] for i in order], np.array(classes)[order]
    tokenizer = Tokenizer.from_file(str(FOLDER / "model/tokenizer.json"))
    tokenizer.enable_truncation(TOKENS)
    tokenizer.enable_padding(length=TOKENS)
    encoded = tokenizer.encode_batch(texts)
    ids = np.array([e.ids for e in encoded], np.uint16)
    lengths = np.array([sum(e.attention_mask) for e in encoded], np.uint8)
    arrays, start = {}, 0
    for split, count in ROWS.items():
        rows = slice(start, start + count)
        arrays[f"{split}/input_ids"], arrays[f"{split}/lengths"] = ids[rows], lengths[rows]
        if split in ("search", "confirm"):
            arrays[f"{split}/classes"] = labels[rows].astype(np.uint8)
        start += count
    np.savez_compressed(FOLDER / "data.npz", **arrays)
    # The probe learns from the glosses that no split holds.
    vectors = embed(ids, lengths)
    probe = LogisticRegression(C=10.0, max_iter=1000).fit(vectors[start:], labels[start:])
    np.savez(
        FOLDER / "probe.npz",
        weight=probe.coef_.astype(np.float32),
        bias=probe.intercept_.astype(np.float32),
    )
    judged = slice(ROWS["train"] + ROWS["calibration"], start)
    score = probe.score(vectors[judged], labels[judged])
    print(f"{len(texts)} glosses, {len(texts) - start} of them to fit the probe; {ROWS}")
    print(f"{len(set(labels))} classes of {CLASSES}; accuracy on search and confirm {score:.4f}")


if __name__ == "__main__":
    main()
