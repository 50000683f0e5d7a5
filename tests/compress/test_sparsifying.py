"""Unstructured pruning of real small modules."""

import numpy as np
import pytest
import torch

from hamerspace.compress import TechniqueJob
from hamerspace.compress.sparsifying import TECHNIQUE
from hamerspace.errors import BuildError
from hamerspace.tasks.model import ModelArtifact, SourceInfo, TensorSpec
from hamerspace.tasks.sources import SourceSpec, open_source
from hamerspace.tasks.torch_module import load_module
from hamerspace.testing.techniques import TechniqueConformance

CODE = """
import torch
from torch import nn

class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(50, 16)
        self.hidden = nn.Linear(16, 16)
        self.conv = nn.Conv1d(16, 16, 3, padding=1)
        self.head = nn.Linear(16, 50, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, tokens):
        x = torch.relu(self.hidden(self.embed(tokens)))
        return self.head(self.conv(x.transpose(1, 2)).mean(dim=2))

def tied():
    torch.manual_seed(0)
    return Tied()

def recurrent():
    torch.manual_seed(0)
    return nn.GRU(4, 4)
"""


def source(folder, builder, example):
    (folder / "net.py").write_text(CODE)
    (folder / "source").mkdir()
    spec = SourceSpec(None, None, f"net:{builder}", None, folder)
    return open_source(spec, example, folder / "source")[0]


def sparsify(model, folder, ratio):
    folder.mkdir()
    TECHNIQUE.apply(TechniqueJob(model, model, {"sparsify.ratio": ratio}, None, folder, 0))
    return ModelArtifact.load(folder)


TOKENS = {"tokens": np.array([[1, 2, 3], [3, 4, 5]])}


class TestSparsifying(TechniqueConformance):
    technique = TECHNIQUE

    def chosen(self):
        return {"sparsify.ratio": 0.5}

    @pytest.fixture(scope="class")
    def source(self, tmp_path_factory):
        return source(tmp_path_factory.mktemp("source"), "tied", TOKENS)

    def batch(self, source):
        return TOKENS


@pytest.fixture
def model(tmp_path):
    return source(tmp_path, "tied", TOKENS)


def test_the_least_weights_of_all_layers_go(model, tmp_path):
    before = load_module(model).inner
    after = load_module(sparsify(model, tmp_path / "sparse", 0.75)).inner
    weights = [(before.hidden, after.hidden), (before.conv, after.conv)]
    old = torch.cat([b.weight.flatten() for b, _ in weights])
    new = torch.cat([a.weight.flatten() for _, a in weights])
    assert (new == 0).float().mean() == pytest.approx(0.75, abs=0.001)
    assert old[new == 0].abs().max() <= old[new != 0].abs().min()
    assert torch.equal(new[new != 0], old[new != 0])


def test_shared_weights_stay_whole_and_shared(model, tmp_path):
    after = load_module(sparsify(model, tmp_path / "sparse", 0.75)).inner
    assert after.head.weight is after.embed.weight
    assert (after.head.weight == 0).sum() == 0


def test_a_model_without_layers_to_sparsify_is_a_build_error(tmp_path):
    model = source(tmp_path, "recurrent", {"input": np.ones((2, 3, 4), np.float32)})
    with pytest.raises(BuildError, match=r"sparsify\.ratio"):
        sparsify(model, tmp_path / "sparse", 0.5)


def info(*families):
    spec = TensorSpec("x", "float32", (None, 4))
    return SourceInfo("onnx", (spec,), (spec,), 10, 40, families)


def test_models_without_such_layers_keep_ratio_zero():
    (mask,) = TECHNIQUE.capabilities(info("rnn"), None)
    assert mask.covers(0.5)
    assert not mask.covers(0.0)
    assert TECHNIQUE.capabilities(info("linear"), None) == ()


def test_ratio_zero_is_no_stage():
    assert TECHNIQUE.stage_parameters({"prune.ratio": 0.5}) is None
    assert TECHNIQUE.stage_parameters({"sparsify.ratio": 0.5}) == {"sparsify.ratio": 0.5}


def test_people_are_told_what_it_is_good_for():
    (parameter,) = TECHNIQUE.parameters()
    assert "no lower latency" in parameter.description
