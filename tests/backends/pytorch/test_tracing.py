"""Static int8 of forwards that torch.fx follows wrongly, or not at all."""

import numpy as np
import pytest
import torch

from hamerspace.backends.base import BuildJob
from hamerspace.backends.pytorch.backend import PytorchBackend
from hamerspace.errors import BuildError
from hamerspace.tasks.sources import SourceSpec, open_source
from hamerspace.tasks.torch_module import load_module

CODE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.wide = nn.Conv2d(8, 8, 1)
        self.register_buffer("gain", torch.tensor(1.5))
        self.head = nn.Linear(32, 4)

    def forward(self, image{arguments}):
        x = self.stem(image)
        x = torch.relu(self.depthwise(x) * self.gain + x)
        {branch}
            x = self.wide(x)
        x = nn.functional.max_pool2d(x, 4)
        return self.head(x.view(x.size(0), -1))

def build():
    torch.manual_seed(0)
    net = Net()
    net.stem[1].running_var.fill_(0.5)
    return net
"""
FORWARDS = {
    "view": ("", "if True:"),
    "shape": ("", "if image.shape[2] > 6:"),
    "dimensions": ("", "for _ in range(image.dim() - 3):"),
    "flag": (", wide=True", "if wide:"),
    "option": (", mask=None", "if mask is not None:"),
}


def opened(folder, arguments, branch):
    (folder / "net.py").write_text(CODE.format(arguments=arguments, branch=branch))
    (folder / "source").mkdir()
    rng = np.random.default_rng(0)
    example = {"image": rng.standard_normal((16, 1, 8, 8)).astype(np.float32)}
    spec = SourceSpec(None, None, "net:build", None, folder)
    return open_source(spec, example, folder / "source")[0], example


def build(source, example, folder, float_layers=()):
    folder.mkdir()
    backend = PytorchBackend()
    chosen = {"quantization": "static_int8"}
    return backend.load(backend.build(BuildJob(source, chosen, [example], folder, float_layers)), 1)


@pytest.mark.parametrize("name", list(FORWARDS))
def test_layers_are_quantised_and_the_batch_stays_free(name, tmp_path):
    source, example = opened(tmp_path, *FORWARDS[name])
    session = build(source, example, tmp_path / "out")
    graph = str(torch.jit.load(tmp_path / "out" / "model.pt").inlined_graph)
    convolutions = 2 if name == "option" else 3
    assert graph.count("quantized::conv2d") == convolutions
    assert graph.count("quantized::linear") == 1
    for rows in (1, 5, 16):
        batch = {"image": example["image"][:rows]}
        wanted = load_module(source).run(batch)["output"]
        found = session.run(batch)["output"]
        assert np.abs(found - wanted).max() < 0.05 * np.abs(wanted).max()


def test_layers_of_an_exported_forward_can_be_kept(tmp_path):
    source, example = opened(tmp_path, *FORWARDS["shape"])
    ranked = PytorchBackend().sensitivity(
        BuildJob(source, {"quantization": "static_int8"}, [example], tmp_path)
    )
    assert {name for name, _ in ranked} == {"stem.0", "depthwise", "wide", "head"}
    build(source, example, tmp_path / "out", ["head", "wide"])
    graph = str(torch.jit.load(tmp_path / "out" / "model.pt").inlined_graph)
    assert (graph.count("quantized::conv2d"), graph.count("quantized::linear")) == (2, 0)


def test_what_depends_on_the_data_is_refused_by_both(tmp_path):
    source, example = opened(tmp_path, "", "if image.sum() > 0:")
    with pytest.raises(BuildError, match=r"fx: .*; export: "):
        build(source, example, tmp_path / "out")


def test_a_layer_that_is_called_twice_computes_the_same(tmp_path):
    code = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.middle = nn.Linear(8, 16), nn.Linear(16, 16)

    def forward(self, image):
        return self.middle(torch.relu(self.middle(self.first(image))))

def build():
    torch.manual_seed(0)
    return Net()
"""
    (tmp_path / "net.py").write_text(code)
    (tmp_path / "source").mkdir()
    example = {"image": np.random.default_rng(0).standard_normal((16, 8)).astype(np.float32)}
    spec = SourceSpec(None, None, "net:build", None, tmp_path)
    source, _ = open_source(spec, example, tmp_path / "source")
    found = build(source, example, tmp_path / "out").run(example)["output"]
    wanted = load_module(source).run(example)["output"]
    assert np.abs(found - wanted).max() < 0.05 * np.abs(wanted).max()


def test_large_outputs_may_differ_by_their_rounding(tmp_path):
    """Convolutions that batch norms are fused into round otherwise, the more so the deeper."""
    code = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    layers = []
    for i in range(12):
        layers += [nn.Conv2d(8 if i else 1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.SiLU()]
    for norm in layers[1::3]:
        norm.running_var.fill_(0.1)
    net = nn.Sequential(*layers, nn.Conv2d(8, 8, 1))
    net[-1].weight.data *= 640
    return net
"""
    (tmp_path / "net.py").write_text(code)
    (tmp_path / "source").mkdir()
    rng = np.random.default_rng(0)
    example = {"input": rng.standard_normal((16, 1, 8, 8)).astype(np.float32)}
    spec = SourceSpec(None, None, "net:build", None, tmp_path)
    source = open_source(spec, example, tmp_path / "source")[0]
    build(source, example, tmp_path / "out")
