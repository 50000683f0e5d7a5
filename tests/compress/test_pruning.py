"""Structured pruning of real small modules."""

import json

import numpy as np
import pytest

from hamerspace.compress import TechniqueJob
from hamerspace.compress.base import TrainingData
from hamerspace.compress.pruning import TECHNIQUE
from hamerspace.errors import BuildError
from hamerspace.tasks.conversions import convert
from hamerspace.tasks.model import ModelArtifact, SourceInfo, TensorSpec
from hamerspace.tasks.sources import SourceSpec, open_source
from hamerspace.tasks.torch_module import load_module
from hamerspace.testing.techniques import TechniqueConformance

CODE = """
import torch
from torch import nn

class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 32, 3, padding=1)
        self.one = nn.Conv2d(32, 32, 3, padding=1)
        self.norm = nn.BatchNorm2d(32)
        self.depth = nn.Conv2d(32, 32, 3, padding=1, groups=32)
        self.grouped = nn.Conv2d(32, 32, 3, padding=1, groups=4)
        self.group_norm = nn.GroupNorm(4, 32)
        self.head = nn.Linear(32, 10)
        self.scale = nn.LayerNorm(10)

    def forward(self, image):
        x = self.stem(image)
        x = x + torch.relu(self.norm(self.one(x)))
        x = self.group_norm(self.grouped(self.depth(x)))
        y = self.scale(self.head(x.mean(dim=(2, 3))))
        return y.softmax(1), y.sum(1)

class Reshaped(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(1, 16, 3)
        self.two = nn.Conv2d(16, 16, 3)
        self.head = nn.Linear(64, 10)

    def forward(self, image):
        return self.head(self.two(self.one(image)).view(-1, 64))

class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(7, 32)
        self.query, self.key, self.value = (nn.Linear(32, 32) for _ in range(3))
        self.out = nn.Linear(32, 32)
        self.layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.wide = nn.Linear(32, 64)
        self.narrow = nn.Linear(64, 32)
        self.rnn = nn.GRU(32, 16, batch_first=True)
        self.head = nn.Linear(16, 5)

    def split(self, x):
        return x.view(x.shape[0], -1, 4, x.shape[2] // 4).transpose(1, 2)

    def forward(self, tokens):
        x = self.embed(tokens)
        q, k, v = (self.split(f(x)) for f in (self.query, self.key, self.value))
        a = torch.softmax(q @ k.transpose(2, 3) / 8**0.5, -1) @ v
        x = x + self.out(a.transpose(1, 2).flatten(2))
        x = self.layer(x + self.narrow(torch.relu(self.wide(x))))
        return self.head(self.rnn(x)[0])

class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(4, 32)
        self.two = nn.Linear(32, 3)
    def forward(self, x):
        return self.two(torch.relu(self.one(x)))

class Uneven(nn.Module):
    # Most channels of the first layer carry next to nothing; those of the second are alike.
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(4, 64)
        self.two = nn.Linear(64, 64)
        self.three = nn.Linear(64, 3)
        with torch.no_grad():
            for part in (self.one.weight, self.one.bias):
                part[:60] *= 0.001
            self.two.weight[:, :60] *= 0.001
    def forward(self, x):
        return self.three(torch.relu(self.two(torch.relu(self.one(x)))))

class Lone(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(16, 16)
    def forward(self, x):
        return torch.relu(self.head(x))

def make(cls):
    torch.manual_seed(0)
    return cls()

def residual():
    return make(Residual)

def reshaped():
    return make(Reshaped)

def encoder():
    return make(Encoder)

def plain():
    return make(Plain)

def uneven():
    return make(Uneven)

def lone():
    return make(Lone)
"""
IMAGE = {"image": np.random.default_rng(0).standard_normal((2, 1, 6, 6), np.float32)}
TOKENS = {"tokens": np.array([[1, 2, 3, 4], [3, 4, 5, 6]])}


def source(folder, builder, example):
    (folder / "net.py").write_text(CODE)
    (folder / "source").mkdir()
    spec = SourceSpec(None, None, f"net:{builder}", None, folder)
    return open_source(spec, example, folder / "source")[0]


def prune(model, folder, ratio, round_to=8, data=None, importance="local"):
    folder.mkdir()
    parameters = {
        "prune.ratio": ratio,
        "prune.round_to": round_to,
        "prune.importance": importance,
    }
    TECHNIQUE.apply(TechniqueJob(model, model, parameters, data, folder, 0))
    return ModelArtifact.load(folder)


class TestPruning(TechniqueConformance):
    technique = TECHNIQUE

    def chosen(self):
        return {"prune.ratio": 0.5, "prune.round_to": 8}

    @pytest.fixture(scope="class")
    def source(self, tmp_path_factory):
        return source(tmp_path_factory.mktemp("source"), "residual", IMAGE)


def test_channels_go(tmp_path):
    model = source(tmp_path, "residual", IMAGE)
    pruned = prune(model, tmp_path / "pruned", 0.5)
    inner = load_module(pruned).inner
    assert inner.stem.out_channels == inner.one.in_channels == inner.norm.num_features == 16
    assert inner.grouped.weight.shape == (16, 4, 3, 3)
    assert inner.depth.groups == 16
    assert inner.head.weight.shape == (10, 16)
    outputs = load_module(pruned).run(IMAGE)
    assert {n: a.shape for n, a in outputs.items()} == {"output_0": (2, 10), "output_1": (2,)}
    assert pruned.file("weights").stat().st_size < 0.5 * model.file("weights").stat().st_size


def test_the_least_channels_go_and_the_rest_keep_their_weights(tmp_path):
    model = source(tmp_path, "residual", IMAGE)
    before = load_module(model).inner
    after = load_module(prune(model, tmp_path / "pruned", 0.25)).inner
    kept = {tuple(row.flatten().tolist()) for row in before.stem.weight}
    assert all(tuple(row.flatten().tolist()) in kept for row in after.stem.weight)
    assert after.stem.weight.norm() > before.stem.weight.norm() * 0.75**0.5


@pytest.mark.parametrize(("round_to", "channels"), [(1, 22), (8, 24), (16, 16)])
def test_channels_are_rounded_to_the_nearest(tmp_path, round_to, channels):
    model = source(tmp_path, "plain", {"x": np.ones((2, 4), np.float32)})
    inner = load_module(prune(model, tmp_path / "pruned", 0.3, round_to)).inner
    assert inner.one.out_features == inner.two.in_features == channels


def test_a_global_ranking_takes_more_where_less_is_lost(tmp_path):
    model = source(tmp_path, "uneven", {"x": np.ones((2, 4), np.float32)})
    every = load_module(prune(model, tmp_path / "local", 0.5, 1)).inner
    ranked = load_module(prune(model, tmp_path / "global", 0.5, 1, importance="global")).inner
    assert every.one.out_features == every.two.out_features == 32
    assert ranked.one.out_features < 24
    assert ranked.two.out_features > 40


def test_pruning_twice_adds_up(tmp_path):
    model = source(tmp_path, "residual", IMAGE)
    once = prune(model, tmp_path / "once", 0.25)
    twice = prune(once, tmp_path / "twice", 0.34)
    assert load_module(twice).inner.one.out_channels == 16
    assert json.loads(twice.file("pruning").read_text())["one"]["in_channels"] == 16


def test_a_layer_whose_width_forward_names_is_left_alone(tmp_path):
    model = source(tmp_path, "reshaped", IMAGE)
    inner = load_module(prune(model, tmp_path / "pruned", 0.5)).inner
    assert inner.one.out_channels == 8
    assert inner.two.out_channels == 16


def test_attention_and_recurrence_keep_their_width(tmp_path):
    model = source(tmp_path, "encoder", TOKENS)
    data = TrainingData({**TOKENS, "labels": np.zeros(2)}, ("tokens",), "cross_entropy")
    inner = load_module(prune(model, tmp_path / "pruned", 0.5, data=data)).inner
    assert inner.query.weight.shape == inner.value.weight.shape == (32, 32)
    assert inner.layer.self_attn.embed_dim == 32
    assert inner.rnn.hidden_size == 16
    assert inner.wide.out_features == inner.layer.linear1.out_features == 32


def test_a_pruned_module_exports(tmp_path):
    model = source(tmp_path, "residual", IMAGE)
    pruned = prune(model, tmp_path / "pruned", 0.5)
    (tmp_path / "onnx").mkdir()
    small = convert(pruned, "onnx", IMAGE, tmp_path / "onnx").file("model").stat().st_size
    assert small < 1.5 * pruned.file("weights").stat().st_size + 20_000


def test_nothing_to_prune_is_a_build_error(tmp_path):
    model = source(tmp_path, "lone", {"x": np.ones((2, 16), np.float32)})
    with pytest.raises(BuildError, match=r"prune\.round_to"):
        prune(model, tmp_path / "pruned", 0.5)


def info(format_name, *families):
    spec = TensorSpec("x", "float32", (None, 4))
    return SourceInfo(format_name, (spec,), (spec,), 10, 40, families)


def test_models_that_cannot_be_pruned_keep_ratio_zero():
    (mask,) = TECHNIQUE.capabilities(info("pytorch", "rnn"), "cross_entropy")
    assert mask.parameter == "prune.ratio"
    assert mask.covers(0.1)
    assert not mask.covers(0.0)


@pytest.mark.parametrize("format_name", ["pytorch", "onnx", "keras"])
def test_layers_can_be_pruned_whatever_the_format(format_name):
    assert TECHNIQUE.capabilities(info(format_name, "conv"), None) == ()


def test_a_stage_has_every_parameter():
    assert TECHNIQUE.stage_parameters({"prune.ratio": 0.5, "prune.round_to": 16}) == {
        "prune.ratio": 0.5,
        "prune.round_to": 16,
        "prune.importance": "local",
    }


def test_what_torch_pruning_cannot_follow_is_a_build_error(tmp_path):
    code = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.LSTM(8, 16, batch_first=True, bidirectional=True)
        self.second = nn.GRU(32, 16, batch_first=True)
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        return self.head(self.second(self.first(x)[0])[0][:, -1])

def build():
    return Net()
"""
    (tmp_path / "rnn.py").write_text(code)
    for name in ("source", "out"):
        (tmp_path / name).mkdir()
    example = {"x": np.ones((2, 5, 8), np.float32)}
    spec = SourceSpec(None, None, "rnn:build", None, tmp_path)
    model = open_source(spec, example, tmp_path / "source")[0]
    chosen = {"prune.ratio": 0.5, "prune.round_to": 8, "prune.importance": "local"}
    with pytest.raises(BuildError, match="torch-pruning cannot follow"):
        TECHNIQUE.apply(TechniqueJob(model, model, chosen, None, tmp_path / "out", 0))
