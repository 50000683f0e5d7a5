"""Folding of batch normalisation before quantisation-aware training: exact, or left alone."""

import pytest
import torch
from torch import fx, nn

from hamerspace.compress._fake_quantize import _folded
from hamerspace.tasks.torch_module import NamedModule


class Detector(nn.Module):
    """Boxes in pixels beside scores, which may come out otherwise where it is traced."""

    def __init__(self, traced):
        super().__init__()
        self.traced = traced
        self.conv, self.norm = nn.Conv2d(3, 7, 3), nn.BatchNorm2d(7)
        self.norm.running_var.uniform_(0.5, 2.0)

    def forward(self, image):
        values = self.norm(self.conv(image)).sigmoid()
        scores = values[:, 4:] / 2
        if isinstance(image, fx.Proxy):
            scores = scores * self.traced
        return torch.cat([640 * values[:, :4], scores], 1)


@pytest.mark.parametrize(("traced", "left"), [(1.0, False), (0.0, True), (0.5, True)])
def test_a_fold_that_changes_scores_beside_pixels_is_left(traced, left):
    torch.manual_seed(0)
    inner = Detector(traced).eval()
    module = NamedModule(inner, ["image"], ["found"])
    folded = _folded(inner, module, (torch.randn(2, 3, 8, 9),))
    assert any(isinstance(part, nn.BatchNorm2d) for part in folded.modules()) == left
