"""Breast tumours told apart from 30 measurements: the model of this study."""

import torch
from torch import Tensor, nn


class Classifier(nn.Module):
    """Maps standardised float32 measurements ``[N, 30]`` to float32 logits ``[N, 2]``.

    Class 0 is malignant, class 1 benign, as in scikit-learn.
    """

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.hidden1 = nn.Linear(30, width)
        self.hidden2 = nn.Linear(width, width)
        self.classifier = nn.Linear(width, 2)

    def forward(self, measurements: Tensor) -> Tensor:
        x = torch.relu(self.hidden1(measurements))
        x = torch.relu(self.hidden2(x))
        return self.classifier(x)


def build_model() -> nn.Module:
    """The architecture; study.yaml names the file that holds its weights."""
    return Classifier()
