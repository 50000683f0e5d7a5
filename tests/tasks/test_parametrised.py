"""Computed weights become plain ones."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from hamerspace.compress import TechniqueJob
from hamerspace.compress.pruning import TECHNIQUE
from hamerspace.tasks.parametrised import fold
from hamerspace.tasks.sources import SourceSpec, open_source
from hamerspace.tasks.torch_module import load_module

LAYERS = {
    "weight_norm": lambda: parametrizations.weight_norm(nn.Conv1d(4, 16, 3)),
    "transposed": lambda: parametrizations.weight_norm(nn.ConvTranspose1d(4, 16, 3)),
    "spectral_norm": lambda: parametrizations.spectral_norm(nn.Conv1d(4, 16, 3)),
    "orthogonal": lambda: parametrizations.orthogonal(nn.Conv1d(4, 16, 3)),
    "old_weight_norm": lambda: nn.utils.weight_norm(nn.Conv1d(4, 16, 3)),
    "old_spectral_norm": lambda: nn.utils.spectral_norm(nn.Conv1d(4, 16, 3)),
    "prune": lambda: prune.l1_unstructured(nn.Conv1d(4, 16, 3), "weight", 0.5),
    "lstm": lambda: parametrizations.weight_norm(nn.LSTM(8, 16), "weight_hh_l0"),
}
CODE = """
from torch import nn
from torch.nn.utils import parametrizations, weight_norm, spectral_norm

def build():
    norm = {}
    return nn.Sequential(norm(nn.Conv1d(4, 16, 3)), nn.ReLU(), norm(nn.Conv1d(16, 4, 3)))
"""


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", list(LAYERS))
def test_folding_keeps_the_outputs_and_leaves_plain_weights(name):
    torch.manual_seed(0)
    layer = LAYERS[name]().eval()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.mul_(1.5)
    x = torch.randn(2, 4, 8)
    before = layer(x)
    fold(layer)
    after = layer(x)
    if name == "lstm":
        before, after = before[0], after[0]
    assert torch.equal(before, after)
    assert {n.split("_")[0] for n, _ in layer.named_parameters()} <= {"weight", "bias"}
    assert not any(n.endswith(("_g", "_v", "_orig")) for n in layer.state_dict())


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("norm", ["parametrizations.weight_norm", "weight_norm", "spectral_norm"])
def test_a_normalised_model_is_pruned(norm, tmp_path):
    (tmp_path / "net.py").write_text(CODE.format(norm))
    for name in ("source", "pruned"):
        (tmp_path / name).mkdir()
    example = {"input": np.random.default_rng(0).standard_normal((2, 4, 9), np.float32)}
    spec = SourceSpec(None, None, "net:build", None, tmp_path)
    model, info = open_source(spec, example, tmp_path / "source")
    assert info.parameter_count == 4 * 16 * 3 * 2 + 20
    chosen = {"prune.ratio": 0.5, "prune.round_to": 8, "prune.importance": "local"}
    pruned = TECHNIQUE.apply(TechniqueJob(model, model, chosen, None, tmp_path / "pruned", 0))
    again = load_module(pruned)
    assert again.inner[0].weight.shape == (8, 4, 3)
    assert again.run(example)["output"].shape == (2, 4, 5)
