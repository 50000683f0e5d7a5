"""Builders, weights and pickles as source models."""

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hamerspace.errors import ConfigError, DataError, SourceError
from hamerspace.tasks.model import ModelArtifact, TensorSpec
from hamerspace.tasks.sources import SourceSpec, open_source
from hamerspace.tasks.torch_module import load_module
from hamerspace.testing.sources import SourceConformance

CODE = """
import torch
from dataclasses import dataclass
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 8)
        self.second = nn.Linear(8, 3)
        self.register_buffer("mask", torch.tensor([0.0, float("-inf")]))

    def forward(self, x, scale=None, bias=None):
        y = self.second(torch.relu(self.first(x)))
        return y if bias is None else y + bias

class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.out = nn.Linear(8, 20, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, tokens):
        h = self.embed(tokens)
        h = nn.functional.scaled_dot_product_attention(h, h, h)
        return self.out(h), {"hidden": h, "none": None}

class Fixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 2)

    def forward(self, x):
        return self.linear(x.reshape(2, 4))

@dataclass
class Result:
    logits: torch.Tensor
    score: torch.Tensor

class Typed(nn.Module):
    def forward(self, x):
        return Result(x * 2, x.sum(1))

class Words(nn.Module):
    def forward(self, x):
        return "no tensor"

def net():
    return Net()

def tied():
    return Tied()

def fixed():
    return Fixed()

def typed():
    return Typed()

def words():
    return Words()

def half():
    return Net().bfloat16()

def raises():
    raise ValueError("no such file")

def number():
    return 3
"""
EXAMPLE = {"x": np.ones((2, 4), np.float32)}


@pytest.fixture
def study(tmp_path):
    (tmp_path / "net.py").write_text(CODE)
    (tmp_path / "source").mkdir()
    return tmp_path


def opened(study, builder, example=None, **more):
    spec = SourceSpec(None, None, f"net:{builder}", None, study)
    spec = dataclasses.replace(spec, **more)
    return open_source(spec, EXAMPLE if example is None else example, study / "source")


def state(**changes):
    torch.manual_seed(1)
    weights = {
        "first.weight": torch.randn(8, 4),
        "first.bias": torch.randn(8),
        "second.weight": torch.randn(3, 8),
        "second.bias": torch.randn(3),
        "mask": torch.tensor([0.0, float("-inf")]),
    }
    return {name: t for name, t in {**weights, **changes}.items() if t is not None}


class TestPytorchSource(SourceConformance):
    name = "pytorch"

    @pytest.fixture(scope="class")
    def given(self, tmp_path_factory):
        root = tmp_path_factory.mktemp("given")
        (root / "net.py").write_text(CODE)
        save_file(state(), root / "weights.safetensors")
        return SourceSpec(None, None, "net:net", root / "weights.safetensors", root), EXAMPLE

    @pytest.fixture(scope="class")
    def reference(self):
        w = {name: t.numpy() for name, t in state().items()}

        def run(batch):
            hidden = np.maximum(batch["x"] @ w["first.weight"].T + w["first.bias"], 0)
            return [hidden @ w["second.weight"].T + w["second.bias"]]

        return run


def test_what_inspection_finds(study):
    _, info = opened(study, "net")
    assert info.inputs == (TensorSpec("x", "float32", (None, 4)),)
    assert info.outputs == (TensorSpec("output", "float32", (None, 3)),)
    assert info.parameter_count == 4 * 8 + 8 + 8 * 3 + 3
    assert info.size_bytes == 4 * (info.parameter_count + 2)
    assert info.op_families == ("linear",)


@pytest.mark.parametrize("wrapped", [False, True])
def test_state_dicts_of_torch_save_are_read(study, wrapped):
    weights = {"epoch": 3, "state_dict": state()} if wrapped else state()
    torch.save(weights, study / "weights.pt")
    artifact, _ = opened(study, "net", weights=study / "weights.pt")
    assert torch.equal(load_module(artifact).inner.first.bias, state()["first.bias"])


def test_an_input_beyond_a_skipped_one_goes_by_keyword(study):
    bias = np.full((2, 3), 5, np.float32)
    torch.save(state(), study / "w.pt")
    artifact, info = opened(study, "net", {"bias": bias, **EXAMPLE}, weights=study / "w.pt")
    module = load_module(artifact)
    assert [t.name for t in info.inputs] == ["x", "bias"]
    shifted = module.run({"bias": bias, **EXAMPLE})["output"]
    unshifted = module.run({"bias": 0 * bias, **EXAMPLE})["output"]
    np.testing.assert_allclose(shifted - unshifted, 5, rtol=1e-4)


def test_nested_outputs_get_names_and_tied_weights_are_stored_once(study):
    artifact, info = opened(study, "tied", {"tokens": np.array([[1, 2, 3]])})
    assert [t.name for t in info.outputs] == ["output_0", "output_1_hidden"]
    assert info.outputs[0].shape == (None, 3, 20)
    assert info.op_families == ("attention", "embedding", "linear")
    assert info.parameter_count == 160
    assert artifact.file("weights").stat().st_size < 2 * 640
    module = load_module(artifact).inner
    assert module.out.weight is module.embed.weight


def test_dataclass_outputs_have_their_fields(study):
    _, info = opened(study, "typed")
    assert [t.name for t in info.outputs] == ["logits", "score"]


def test_half_precision_models_take_and_return_float32(study):
    artifact, info = opened(study, "half")
    assert info.weight_dtypes == ("bfloat16",)
    assert load_module(artifact).run(EXAMPLE)["output"].dtype == np.float32


def test_a_fixed_batch_is_noticed(study):
    _, info = opened(study, "fixed")
    assert not info.dynamic_batch
    assert info.inputs[0].shape == (2, 4)


def test_without_data_the_declared_inputs_are_used(study):
    inputs = (TensorSpec("x", "float32", (None, 4)),)
    spec = SourceSpec(None, None, "net:net", None, study, inputs)
    _, info = open_source(spec, None, study / "source")
    assert info.inputs == inputs
    with pytest.raises(SourceError, match=r"task\.source\.inputs"):
        open_source(dataclasses.replace(spec, inputs=()), None, study / "source")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"second.bias": None}, r"missing: second\.bias"),
        ({"third.bias": torch.ones(1)}, r"unexpected: third\.bias"),
        ({"first.bias": torch.ones(9)}, r"first\.bias is \[9\], the module wants \[8\]"),
        ({"first.bias": torch.full((8,), torch.nan)}, r"not finite: 'first\.bias'"),
        ({"first.bias": torch.full((8,), torch.inf)}, r"not finite: 'first\.bias'"),
    ],
)
def test_weights_that_do_not_fit_are_named(study, changes, words):
    save_file(state(**changes), study / "w.safetensors")
    with pytest.raises(SourceError, match=rf"w\.safetensors.*{words}"):
        opened(study, "net", weights=study / "w.safetensors")


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_damaged_weights_are_named(study, name):
    path = study / name
    save_file(state(), path) if name.endswith("safetensors") else torch.save(state(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SourceError, match=name):
        opened(study, "net", weights=path)
    path.write_bytes(bytes(range(256)) * 8)
    with pytest.raises(SourceError, match=name):
        opened(study, "net", weights=path)


@pytest.mark.parametrize(
    ("builder", "error", "words"),
    [
        ("raises", SourceError, "'net:raises' raised ValueError.*no such file"),
        ("number", SourceError, "returned a int"),
        ("CODE", ConfigError, "no 'CODE'"),
        ("words", SourceError, "returns a str"),
    ],
)
def test_builders_that_make_no_model(study, builder, error, words):
    with pytest.raises(error, match=words):
        opened(study, builder)


def test_names_that_do_not_fit_name_both_sides(study):
    said = r"no array 'x', which the model takes \(its inputs: x, scale, bias\); if it is 'image'"
    with pytest.raises(DataError, match=said):
        opened(study, "net", {"image": EXAMPLE["x"]})


def test_labels_under_another_name_are_told_how_to_be_named(study):
    with pytest.raises(DataError, match=r"array 'y': .* if these are the labels.*labels: y"):
        opened(study, "net", {"x": EXAMPLE["x"], "y": np.zeros(2)})


def test_float64_that_fails_is_told_the_cast(study):
    with pytest.raises(DataError, match=r"save 'x' as array\.astype\('float32'\)"):
        opened(study, "net", {"x": EXAMPLE["x"].astype(np.float64)})


def test_a_batch_of_the_wrong_shape_is_shown(study):
    with pytest.raises(DataError, match=r"x: float32\[2, 5\]"):
        opened(study, "net", {"x": np.ones((2, 5), np.float32)})


def test_pickles_are_refused_unless_trusted(study):
    path = study / "model.pt"
    net = nn.Sequential(nn.Linear(4, 2), nn.ReLU())
    torch.save(net, path)
    spec = SourceSpec(None, path, None, None, study)
    example = {"input": EXAMPLE["x"]}
    with pytest.raises(SourceError, match="can run any code"):
        open_source(spec, example, study / "source")
    trusted = dataclasses.replace(spec, trust_pickle=True)
    artifact, info = open_source(trusted, example, study / "source")
    path.unlink()
    assert info.format == "pytorch"
    found = load_module(ModelArtifact.load(artifact.folder)).run(example)["output"]
    np.testing.assert_array_equal(found, net(torch.ones(2, 4)).detach().numpy())


def test_a_state_dict_alone_asks_for_a_builder(study):
    torch.save(state(), study / "model.pt")
    with pytest.raises(SourceError, match="'builder'"):
        open_source(SourceSpec(None, study / "model.pt", None, None, study), EXAMPLE, study)
