"""Weights as training scripts leave them."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from hamerspace.errors import SourceError
from hamerspace.tasks.sources import SourceSpec, open_source
from hamerspace.tasks.sources._checkpoint import state_in
from hamerspace.tasks.torch_module import load_module

CODE = """
from torch import nn

def build():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
"""


@pytest.fixture
def module():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


@pytest.fixture
def state(module):
    return {name: torch.randn_like(tensor) for name, tensor in module.state_dict().items()}


def prefixed(state, prefix):
    return {prefix + name: tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    ("wrap", "words"),
    [
        (lambda s: prefixed(s, "module."), "without 'module.'"),
        (lambda s: {**prefixed(s, "module."), "n_averaged": torch.tensor(3)}, "without 'module.'"),
        (lambda s: prefixed(s, "_orig_mod."), "without '_orig_mod.'"),
        (lambda s: prefixed(s, "_orig_mod.module."), "'_orig_mod.' and 'module.'"),
        (lambda s: {n.replace(".", "._orig_mod."): t for n, t in s.items()}, "'_orig_mod.'"),
        (lambda s: {"model": s, "epoch": 12, "best": 0.93}, r"under \['model'\]"),
        (lambda s: {"net": s, "optimizer": {"state": {0: {"exp_avg": s["0.weight"]}}}}, "net"),
        (lambda s: {"state_dict": prefixed(s, "model.")}, r"\['state_dict'\], without 'model.'"),
        (
            lambda s: {
                "state_dict": {**prefixed(s, "net."), "loss.weight": torch.ones(3)},
                "hyper_parameters": {"lr": 1e-3},
            },
            "without 'net.'",
        ),
        (lambda s: {"model": s, "ema": dict(s)}, r"\['model'\]"),
        (lambda s: {"a": {"b": prefixed(s, "module.")}}, r"\['a'\]\['b'\]"),
    ],
)
def test_wrapped_weights_are_found_and_told(module, state, wrap, words, tmp_path):
    found, note = state_in(wrap(state), module, tmp_path / "w.pt")
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())
    assert re.search(words, note)


def test_a_plain_state_dict_needs_no_note(module, state, tmp_path):
    assert state_in(state, module, tmp_path / "w.pt") == (state, None)


@pytest.mark.parametrize("place", ["ema", "state_dict"])
def test_two_sets_that_differ_are_refused(module, state, tmp_path, place):
    averaged = {name: tensor * 0.9 for name, tensor in state.items()}
    both = {"model": state, "ema": prefixed(averaged, "module.")}
    if place == "state_dict":
        both = {"state_dict": {**prefixed(state, "model."), **prefixed(averaged, "ema_model.")}}
    with pytest.raises(SourceError, match=r"several sets .* differ: .*(model).*ema.*torch.save"):
        state_in(both, module, tmp_path / "w.pt")


def test_the_usual_key_is_taken_and_what_lies_beside_told(module, state, tmp_path):
    averaged = {name: tensor * 0.9 for name, tensor in state.items()}
    both = {"state_dict_ema": averaged, "state_dict": prefixed(state, "module.")}
    found, note = state_in(both, module, tmp_path / "w.pt")
    assert torch.equal(found["0.weight"], state["0.weight"])
    assert "under ['state_dict'], without 'module.'" in note
    assert "differ are not: under ['state_dict_ema']" in note


def test_what_fits_nowhere_names_the_nearest_and_the_remedy(module, state, tmp_path):
    state["2.weight"] = torch.ones(5, 8)
    with pytest.raises(SourceError, match=r"2.weight is \[5, 8\].*\['model'\].*torch.save"):
        state_in({"model": prefixed(state, "module."), "epoch": 1}, module, tmp_path / "w.pt")
    with pytest.raises(SourceError, match="no state dict"):
        state_in({"epoch": 1}, module, tmp_path / "w.pt")


def test_a_module_that_is_wrapped_itself_takes_plain_weights(module, state, tmp_path):
    wrapper = nn.ModuleDict({"module": module})
    found, _ = state_in(state, wrapper, tmp_path / "w.pt")
    wrapper.load_state_dict(found)
    assert torch.equal(module[0].weight, state["0.weight"])


def test_the_older_names_of_weight_norm_fit_the_newer(tmp_path):
    torch.manual_seed(0)
    with pytest.warns(FutureWarning):
        older = nn.utils.weight_norm(nn.Linear(4, 3))
    newer = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))
    found, _ = state_in(older.state_dict(), newer, tmp_path / "w.pt")
    newer.load_state_dict(found)
    x = torch.randn(2, 4)
    assert torch.allclose(older(x), newer(x))


def test_the_note_reaches_who_inspects(state, tmp_path):
    (tmp_path / "net.py").write_text(CODE)
    torch.save({"state_dict": prefixed(state, "model.")}, tmp_path / "w.ckpt")
    (tmp_path / "out").mkdir()
    spec = SourceSpec(None, None, "net:build", tmp_path / "w.ckpt", tmp_path)
    example = {"input": np.ones((2, 4), np.float32)}
    artifact, info = open_source(spec, example, tmp_path / "out")
    assert "without 'model.'" in info.details["notes"][0]
    assert torch.equal(load_module(artifact).inner[0].weight, state["0.weight"])
