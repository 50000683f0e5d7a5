"""Fashion-MNIST classified by an eight-layer ResNet: the model and the data of this study."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

FOLDER = Path(__file__).parent


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2016, basic block)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet8(nn.Module):
    """Maps float32 images ``[N, 1, 28, 28]`` in [0, 1] to float32 logits ``[N, 10]``."""

    def __init__(self, width: int = 32, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.blocks = nn.Sequential(
            ResidualBlock(width, width, 1),
            ResidualBlock(width, 2 * width, 2),
            ResidualBlock(2 * width, 4 * width, 2),
        )
        self.classifier = nn.Linear(4 * width, classes)

    def forward(self, image: Tensor) -> Tensor:
        features = self.blocks(self.stem(image))
        return self.classifier(features.mean(dim=(2, 3)))


def build_model() -> nn.Module:
    """The architecture; study.yaml names the file that holds its weights."""
    return ResNet8()


def load_data() -> dict[str, dict[str, np.ndarray]]:
    """The committed subset: train from the training set, search and confirm from the test set."""
    splits: dict[str, dict[str, np.ndarray]] = {}
    with np.load(FOLDER / "data.npz") as archive:
        for split in ("train", "search", "confirm"):
            pixels = archive[f"{split}/image"].astype(np.float32) / 255
            labels = archive[f"{split}/labels"].astype(np.int64)
            splits[split] = {"image": pixels[:, None], "labels": labels}
    splits["calibration"] = {"image": splits["train"]["image"][:256]}
    return splits
