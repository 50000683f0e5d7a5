"""Torch archives as source models: .pt2 and TorchScript."""

import numpy as np
import pytest
import torch
from torch import nn

from hamerspace.errors import DataError, SourceError
from hamerspace.tasks.model import TensorSpec
from hamerspace.tasks.sources import SourceSpec, open_source
from hamerspace.tasks.torch_module import load_module


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.linear = nn.Linear(4, 3)

    def forward(self, image, shift):
        return self.linear(self.norm(self.conv(image)).mean(dim=(2, 3))) + shift


EXAMPLE = {"image": np.ones((2, 1, 6, 6), np.float32), "shift": np.zeros((2, 3), np.float32)}
TENSORS = tuple(torch.from_numpy(a) for a in EXAMPLE.values())
COUNT = 4 * 9 + 4 + 8 + 4 * 3 + 3


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "source").mkdir()
    return tmp_path


def opened(folder, path, example):
    return open_source(SourceSpec(None, path, None, None, folder), example, folder / "source")


def exported(folder, *, dynamic=True, net=None):
    net = (net or Net()).eval()
    free = {0: torch.export.Dim.DYNAMIC}
    shapes = {"image": free, "shift": free} if dynamic else None
    program = torch.export.export(net, TENSORS[:1], {"shift": TENSORS[1]}, dynamic_shapes=shapes)
    torch.export.save(program, folder / "model.pt2")
    return net, folder / "model.pt2"


def test_an_export_tells_its_own_inputs(folder):
    net, path = exported(folder)
    artifact, info = opened(folder, path, None)
    assert info.format == "torch_export"
    assert info.inputs == (
        TensorSpec("image", "float32", (None, 1, 6, 6)),
        TensorSpec("shift", "float32", (None, 3)),
    )
    assert info.parameter_count == COUNT
    assert info.op_families == ("conv", "linear", "norm")
    with torch.no_grad():
        wanted = net(*TENSORS).numpy()
    found = load_module(artifact).run(EXAMPLE)["output"]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_an_export_with_a_fixed_batch_keeps_it(folder):
    _, path = exported(folder, dynamic=False)
    one = {name: array[:1] for name, array in EXAMPLE.items()}
    artifact, info = opened(folder, path, one)
    assert not info.dynamic_batch
    assert artifact.inputs[0].shape == (2, 1, 6, 6)


@pytest.mark.parametrize("frozen", [False, True])
def test_torchscript_tells_the_names_of_its_inputs(folder, frozen):
    net = Net().eval()
    script = torch.jit.trace(net, TENSORS)
    script = torch.jit.freeze(script) if frozen else script
    script.save(str(folder / "model.pt"))
    artifact, info = opened(folder, folder / "model.pt", EXAMPLE)
    assert [t.name for t in info.inputs] == ["image", "shift"]
    assert info.dynamic_batch
    assert {"conv", "linear"} <= set(info.op_families)
    if not frozen:
        assert info.parameter_count == COUNT
    assert info.parameter_count > 40
    with torch.no_grad():
        wanted = net(*TENSORS).numpy()
    found = load_module(artifact).run(EXAMPLE)["output"]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_torchscript_without_data_asks_for_shapes(folder):
    torch.jit.trace(Net().eval(), TENSORS).save(str(folder / "model.pt"))
    with pytest.raises(SourceError, match=r"task\.source\.inputs"):
        opened(folder, folder / "model.pt", None)


def test_wrong_names_and_shapes_are_shown(folder):
    _, path = exported(folder)
    with pytest.raises(DataError, match="missing from the data: 'shift'"):
        opened(folder, path, {"image": EXAMPLE["image"]})
    wide = {**EXAMPLE, "image": np.ones((2, 1, 7, 6), np.float32)}
    with pytest.raises(DataError, match=r"image: float32\[2, 1, 7, 6\]"):
        opened(folder, path, wide)


def test_weights_that_are_not_finite_are_named(folder):
    net = Net()
    with torch.no_grad():
        net.linear.bias[0] = torch.nan
    _, path = exported(folder, net=net)
    with pytest.raises(SourceError, match=r"not finite: 'linear\.bias'"):
        opened(folder, path, EXAMPLE)
