"""Named tensors in and out of modules."""

from collections import OrderedDict, namedtuple

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from hamerspace.errors import SourceError
from hamerspace.tasks.model import ModelArtifact, TensorSpec
from hamerspace.tasks.torch_module import (
    NamedModule,
    flatten_outputs,
    load_module,
    load_weights,
    to_tensor,
    write_weights,
)

T = torch.zeros(1)
Pair = namedtuple("Pair", ["left", "right"])  # noqa: PYI024 - what torch returns is untyped too


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (T, ["output"]),
        ([T, T], ["output_0", "output_1"]),
        ((T, (T, T)), ["output_0", "output_1_0", "output_1_1"]),
        (OrderedDict(b=T, a=T), ["b", "a"]),
        ({"logits": T, "states": [T, T], "loss": None}, ["logits", "states_0", "states_1"]),
        (Pair(T, {"x": T}), ["left", "right_x"]),
    ],
)
def test_outputs_get_names(value, names):
    assert [name for name, _ in flatten_outputs(value)] == names


def test_what_is_no_tensor_is_refused():
    with pytest.raises(SourceError, match="a float as output_1"):
        flatten_outputs((T, 0.5))


def test_arrays_that_torch_cannot_share_are_copied():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    to_tensor(array)[0, 0] = 7
    assert array[0, 0] == 7
    array.flags.writeable = False
    to_tensor(array)[0, 0] = 9
    assert array[0, 0] == 7
    assert to_tensor(array[:, ::-1])[0].tolist() == [2, 1, 7]


def test_names_come_from_the_caller_and_half_precision_stays_inside():
    module = NamedModule(nn.Linear(3, 2).half(), ["x"], ["y"])
    outputs = module.run({"x": np.ones((1, 3), np.float32)})
    assert list(outputs) == ["y"]
    assert outputs["y"].dtype == np.float32


def test_the_first_few_of_many_misfits_are_named(tmp_path):
    module = nn.Sequential(*[nn.Linear(2, 2) for _ in range(3)])
    with pytest.raises(SourceError, match=r"missing: 0\.weight, 0\.bias, 1\.weight and 3 more"):
        load_weights(module, {}, tmp_path / "w.pt")


def test_other_formats_are_refused(tmp_path):
    spec = TensorSpec("x", "float32", (None, 1))
    with pytest.raises(SourceError, match="'onnx' is not a torch format"):
        load_module(ModelArtifact(tmp_path, "onnx", (spec,), (spec,)))


def test_weights_that_are_views_are_stored(tmp_path):
    torch.manual_seed(0)
    flat = torch.randn(24)
    module = nn.Module()
    module.register_buffer("window", torch.hann_window(8))  # of storage that holds nine
    module.register_buffer("complex", torch.ones(3, dtype=torch.complex64))
    module.register_buffer("empty", torch.empty(0))
    module.one = nn.Parameter(flat[:16].view(4, 4).t())
    module.other = nn.Parameter(flat[8:])
    module.tied = module.one
    write_weights(module, tmp_path / "w.safetensors")
    found = load_file(tmp_path / "w.safetensors")
    assert "tied" not in found
    state = module.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in found.items())
    load_weights(module, found, tmp_path / "w.safetensors")


class Masked(nn.Module):
    """What it makes of whole numbers is float32, whatever its weights are."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x, mask):
        return self.layer(x * mask.to(torch.float32))


def test_in_half_precision_what_a_trace_turns_into_float32_follows():
    example = torch.randn(2, 4), torch.ones(2, 4, dtype=torch.long)
    traced = torch.export.export(Masked(), example).module()
    module = NamedModule(traced, ["x", "mask"], ["y"])
    batch = {"x": example[0].numpy(), "mask": example[1].numpy()}
    wanted = module.run(batch)["y"]
    module.narrow(torch.bfloat16)
    assert {p.dtype for p in module.parameters()} == {torch.bfloat16}
    np.testing.assert_allclose(module.run(batch)["y"], wanted, atol=0.05)
    module.widen()
    np.testing.assert_allclose(module.run(batch)["y"], wanted, atol=0.05)
