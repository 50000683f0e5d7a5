"""Train the study's model on all of Fashion-MNIST and write its weights and the data subset.

Debian's package ``dataset-fashion-mnist`` brings the four IDX files. Run in this folder::

    python train.py --data /usr/share/datasets/fashion-mnist --epochs 13
"""

import argparse
import gzip
import json
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from task import FOLDER, build_model
from torch import Tensor, nn
from torch.nn import functional as F

TRAIN_ROWS, SEARCH_ROWS, CONFIRM_ROWS = 6000, 2000, 4000


def read_idx(path: Path) -> np.ndarray:
    """Read a gzipped IDX file of unsigned bytes (the MNIST file format)."""
    raw = gzip.decompress(path.read_bytes())
    rank = raw[3]
    shape = np.frombuffer(raw, ">i4", rank, 4)
    return np.frombuffer(raw, np.uint8, -1, 4 + 4 * rank).reshape(shape)


def augment(images: Tensor) -> Tensor:
    """Shift by up to two pixels and mirror half of the images."""
    padded = F.pad(images, (2, 2, 2, 2))
    top, left = (int(v) for v in torch.randint(0, 5, (2,)))
    images = padded[:, :, top : top + 28, left : left + 28]
    mirrored = torch.rand(len(images)) < 0.5
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    model.eval()
    hits = sum(
        int((model(x).argmax(1) == y).sum())
        for x, y in zip(images.split(500), labels.split(500), strict=True)
    )
    return hits / len(labels)


def train(images: Tensor, labels: Tensor, epochs: int, batch: int = 128) -> nn.Module:
    model = build_model().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.2, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    steps = epochs * (len(labels) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.2, total_steps=steps, pct_start=0.25
    )
    for epoch in range(epochs):
        model.train()
        started, total = time.time(), 0.0
        for rows in torch.randperm(len(labels)).split(batch)[: len(labels) // batch]:
            inputs = augment(images[rows]).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                loss = F.cross_entropy(model(inputs), labels[rows], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(
            f"epoch {epoch + 1}: loss {total / (len(labels) // batch):.4f}, "
            f"{time.time() - started:.0f} s",
            flush=True,
        )
    return model.to(memory_format=torch.contiguous_format)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--epochs", type=int, default=13)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    arrays = {
        part: (
            read_idx(arguments.data / f"{part}-images-idx3-ubyte.gz"),
            read_idx(arguments.data / f"{part}-labels-idx1-ubyte.gz"),
        )
        for part in ("train", "t10k")
    }
    # Rows are drawn once with a fixed seed; search and confirm never overlap.
    rng = np.random.default_rng(0)
    chosen = rng.permutation(60_000)[:TRAIN_ROWS]
    held_out = rng.permutation(10_000)
    rows = {
        "train": ("train", chosen),
        "search": ("t10k", held_out[:SEARCH_ROWS]),
        "confirm": ("t10k", held_out[SEARCH_ROWS : SEARCH_ROWS + CONFIRM_ROWS]),
    }
    np.savez_compressed(
        FOLDER / "data.npz",
        **{f"{split}/image": arrays[part][0][index] for split, (part, index) in rows.items()},
        **{f"{split}/labels": arrays[part][1][index] for split, (part, index) in rows.items()},
    )
    tensors = {
        part: (
            torch.from_numpy(x.copy()).float().div(255)[:, None],
            torch.from_numpy(y.copy()).long(),
        )
        for part, (x, y) in arrays.items()
    }
    model = train(*tensors["train"], arguments.epochs)
    score = accuracy(model, *tensors["t10k"])
    save_file(model.state_dict(), FOLDER / "weights.safetensors")
    parameters = sum(p.numel() for p in model.parameters())
    (FOLDER / "training.json").write_text(
        json.dumps({"test_accuracy": score, "parameters": parameters, "epochs": arguments.epochs})
        + "\n"
    )
    print(f"test accuracy {score:.4f}, {parameters} parameters")


if __name__ == "__main__":
    main()
