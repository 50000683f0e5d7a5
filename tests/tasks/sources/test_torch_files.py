"""Torch archives as source models: .pt2 and TorchScript."""

import io
import json
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from hamerspace.errors import DataError, SourceError
from hamerspace.tasks.model import TensorSpec
from hamerspace.tasks.sources import SourceSpec, open_source
from hamerspace.tasks.sources.torch_files import TorchExportSource
from hamerspace.testing.sources import SourceConformance


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


class _TorchFile(SourceConformance):
    @pytest.fixture(scope="class")
    def net(self):
        return Net().eval()

    @pytest.fixture(scope="class")
    def reference(self, net):
        def run(batch):
            with torch.no_grad():
                return [net(*(torch.from_numpy(batch[name]) for name in EXAMPLE)).numpy()]

        return run


class TestTorchExportSource(_TorchFile):
    name = "torch_export"

    @pytest.fixture(scope="class")
    def given(self, net, tmp_path_factory):
        _, path = exported(tmp_path_factory.mktemp("given"), net=net)
        return SourceSpec(None, path, None, None, path.parent), EXAMPLE


class TestTorchScriptSource(_TorchFile):
    name = "torchscript"

    @pytest.fixture(scope="class")
    def given(self, net, tmp_path_factory):
        path = tmp_path_factory.mktemp("given") / "model.pt"
        torch.jit.trace(net, TENSORS).save(str(path))
        return SourceSpec(None, path, None, None, path.parent), EXAMPLE


def test_an_export_tells_its_own_inputs(folder):
    _, path = exported(folder)
    _, info = opened(folder, path, None)
    assert info.inputs == (
        TensorSpec("image", "float32", (None, 1, 6, 6)),
        TensorSpec("shift", "float32", (None, 3)),
    )
    assert info.parameter_count == COUNT
    assert info.op_families == ("conv", "linear", "norm")


def test_an_export_with_a_fixed_batch_keeps_it(folder):
    _, path = exported(folder, dynamic=False)
    one = {name: array[:1] for name, array in EXAMPLE.items()}
    artifact, info = opened(folder, path, one)
    assert not info.dynamic_batch
    assert artifact.inputs[0].shape == (2, 1, 6, 6)


@pytest.mark.parametrize("frozen", [False, True])
def test_torchscript_tells_the_names_of_its_inputs(folder, frozen):
    script = torch.jit.trace(Net().eval(), TENSORS)
    script = torch.jit.freeze(script) if frozen else script
    script.save(str(folder / "model.pt"))
    _, info = opened(folder, folder / "model.pt", EXAMPLE)
    assert [t.name for t in info.inputs] == ["image", "shift"]
    assert {"conv", "linear"} <= set(info.op_families)
    if not frozen:
        assert info.parameter_count == COUNT
    assert info.parameter_count > 40


def test_torchscript_without_data_asks_for_shapes(folder):
    torch.jit.trace(Net().eval(), TENSORS).save(str(folder / "model.pt"))
    with pytest.raises(SourceError, match=r"task\.source\.inputs"):
        opened(folder, folder / "model.pt", None)


def test_wrong_names_and_shapes_are_shown(folder):
    _, path = exported(folder)
    with pytest.raises(DataError, match=r"no array 'shift', .* constants: \[shift\]"):
        opened(folder, path, {"image": EXAMPLE["image"]})
    wide = {**EXAMPLE, "image": np.ones((2, 1, 7, 6), np.float32)}
    said = r"'image': each row has shape \[1, 7, 6\], but the model takes \[1, 6, 6\]"
    with pytest.raises(DataError, match=said):
        opened(folder, path, wide)


def test_a_scripted_model_that_fails_says_the_sizes(folder):
    torch.jit.trace(nn.Linear(4, 3), torch.ones(2, 4)).save(str(folder / "model.pt"))
    with pytest.raises(DataError, match=r"cannot be multiplied \(2x5 and 4x3\)"):
        opened(folder, folder / "model.pt", {"input": np.ones((2, 5), np.float32)})


def test_weights_that_are_not_finite_are_named(folder):
    net = Net()
    with torch.no_grad():
        net.linear.bias[0] = torch.nan
    _, path = exported(folder, net=net)
    with pytest.raises(SourceError, match=r"not finite: 'linear\.bias'"):
        opened(folder, path, EXAMPLE)


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def pickled(value):
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def changed(path, change):
    """Write the archive again with ``change(name, data)`` for each member."""
    with zipfile.ZipFile(path) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members:
            archive.writestr(name, change(name, data))


def with_pickled_weight(bomb):
    def change(name, data):
        if name.endswith("/weight_0"):
            return pickled(bomb)
        if name.endswith("weights_config.json"):
            value = json.loads(data)
            next(iter(value["config"].values()))["use_pickle"] = True
            return json.dumps(value)
        return data

    return change


def with_opaque_constant(bomb):
    def change(name, data):
        if name.endswith("constants_config.json"):
            entry = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": False}
            return json.dumps({"config": {"c": entry}})
        return data

    return change


def with_pickled_sample(bomb):
    return lambda name, data: pickled(bomb) if "sample_inputs" in name else data


@pytest.mark.parametrize(
    "how",
    [with_pickled_weight, with_opaque_constant, with_pickled_sample],
    ids=lambda f: f.__name__,
)
def test_an_archive_that_brings_code_is_refused_before_it_runs(folder, how):
    _, path = exported(folder)
    changed(path, how(Bomb(folder / "ran")))
    with pytest.raises(SourceError, match=r"holds a pickle.*--trust-pickle"):
        opened(folder, path, None)
    assert not (folder / "ran").exists()


def test_an_archive_of_the_old_format_that_brings_code_is_refused(folder):
    path = folder / "model.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("version", "8.1")
        archive.writestr("serialized_constants.pt", pickled(Bomb(folder / "ran")))
    spec = SourceSpec(None, path, None, None, folder)
    with pytest.raises(SourceError, match=r"serialized_constants.*--trust-pickle"):
        TorchExportSource().open(spec, None, folder / "source")
    assert not (folder / "ran").exists()


def test_a_trusted_archive_may_bring_code(folder):
    _, path = exported(folder)
    changed(path, with_pickled_sample(Bomb(folder / "ran")))
    spec = SourceSpec(None, path, None, None, folder, trust_pickle=True)
    with pytest.raises(SourceError, match="cannot be loaded"):  # the bomb is no sample
        open_source(spec, None, folder / "source")
    assert (folder / "ran").exists()
