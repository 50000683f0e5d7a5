"""A small PyTorch network in memory, and rows that it classifies."""

import numpy as np
import pytest
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
        self.norm, self.last = nn.BatchNorm2d(16), nn.Linear(32, 5)

    def forward(self, image):
        x = torch.relu(self.norm(self.first(image)))
        return self.last(torch.relu(self.second(x)).mean((2, 3)))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().eval()


@pytest.fixture
def rows(net):
    """``(images [400, 3, 16, 16], labels [400])``."""
    images = np.random.default_rng(0).standard_normal((400, 3, 16, 16)).astype(np.float32)
    with torch.no_grad():
        labels = net(torch.from_numpy(images)).argmax(1).numpy()
    return images, labels
