"""Train the study's model on scikit-learn's breast cancer data; write the weights and the data.

Run in this folder::

    python train.py
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import roc_auc_score
from task import build_model
from torch import nn
from torch.nn import functional as F

FOLDER = Path(__file__).parent
TRAIN_ROWS, CALIBRATION_ROWS, SEARCH_ROWS = 155, 64, 125
EPOCHS, BATCH = 60, 16


def split() -> dict[str, dict[str, np.ndarray]]:
    """Disjoint rows, drawn once with a fixed seed; what the first three leave is ``confirm``.

    Every measurement is scaled by the mean and the deviation of ``train``.
    """
    measurements, labels = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    ends = np.cumsum([TRAIN_ROWS, CALIBRATION_ROWS, SEARCH_ROWS])
    parts = np.split(order, ends)
    mean, deviation = measurements[parts[0]].mean(axis=0), measurements[parts[0]].std(axis=0)
    scaled = ((measurements - mean) / deviation).astype(np.float32)
    names = ("train", "calibration", "search", "confirm")
    return {
        name: {"measurements": scaled[rows], "labels": labels[rows].astype(np.int64)}
        for name, rows in zip(names, parts, strict=True)
    }


def train(arrays: dict[str, np.ndarray]) -> nn.Module:
    model = build_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    inputs, labels = (torch.from_numpy(arrays[name]) for name in ("measurements", "labels"))
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(labels)).split(BATCH):
            loss = F.cross_entropy(model(inputs[rows]), labels[rows], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.eval()


@torch.no_grad()
def judge(model: nn.Module, arrays: dict[str, np.ndarray]) -> dict[str, float]:
    scores = model(torch.from_numpy(arrays["measurements"])).numpy()
    labels = arrays["labels"]
    return {
        "accuracy": float((scores.argmax(axis=1) == labels).mean()),
        "roc_auc": float(roc_auc_score(labels, scores[:, 1] - scores[:, 0])),
    }


def main() -> None:
    torch.manual_seed(0)
    splits = split()
    np.savez_compressed(
        FOLDER / "data.npz",
        **{f"{s}/{name}": array for s, arrays in splits.items() for name, array in arrays.items()},
    )
    model = train(splits["train"])
    save_file(model.state_dict(), FOLDER / "weights.safetensors")
    found = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "rows": {name: len(arrays["labels"]) for name, arrays in splits.items()},
        "quality": {name: judge(model, splits[name]) for name in ("search", "confirm")},
    }
    (FOLDER / "training.json").write_text(json.dumps(found) + "\n")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
