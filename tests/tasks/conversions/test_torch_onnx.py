"""Torch models as ONNX: same names, same numbers, free batch."""

import dataclasses

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import nn

from hamerspace.errors import BuildError
from hamerspace.tasks.conversions import convert
from hamerspace.tasks.conversions.torch import (
    PytorchToOnnx,
    TorchExportToOnnx,
    TorchScriptToOnnx,
)
from hamerspace.tasks.sources import SourceSpec, open_source
from hamerspace.tasks.torch_module import load_module
from hamerspace.testing.conversions import ConversionConformance

CODE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.linear = nn.Linear(4, 3)

    def forward(self, image, unused=None, *, shift):
        features = torch.relu(self.conv(image)).mean(dim=(2, 3))
        return {"logits": self.linear(features) + shift, "features": features}

class Branches(nn.Module):
    def forward(self, x):
        return x * 2 if x.sum() > 0 else x * 3

class Random(nn.Module):
    def forward(self, x):
        return torch.nn.functional.dropout(x, 0.5, training=True)

class Recogniser(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.register_buffer("places", torch.ones(2, 3))

    def forward(self, frames):
        return self.places * 2, self.layer(frames.transpose(0, 1))

class Detector(nn.Module):
    # Boxes in pixels beside scores; these may come out otherwise where it is exported.
    def __init__(self, exported):
        super().__init__()
        self.exported = exported
        self.boxes, self.scores = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 3, 3)

    def forward(self, image):
        boxes, scores = 640 * self.boxes(image).sigmoid(), self.scores(image).sigmoid() / 2
        if torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export():
            scores = {"kept": scores, "dead": scores * 0, "swapped": scores.flip(1)}[self.exported]
        return torch.cat([boxes.flatten(2), scores.flatten(2)], 1)

class Masked(nn.Module):
    def __init__(self, exported):
        super().__init__()
        self.exported = exported
        self.layer = nn.Linear(4, 6)

    def forward(self, x):
        y, mask = self.layer(x), torch.finfo(torch.float32).min
        if self.exported == "infinite":
            mask = -torch.inf
        if torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export():
            y = y * (self.exported != "dead")
            mask = 0.0 if self.exported in ("unmasked", "infinite") else mask
        return torch.where(torch.arange(6) % 3 == 0, mask, y)

def masked():
    return Masked("kept")

def masked_dead():
    return Masked("dead")

def masked_unmasked():
    return Masked("unmasked")

def masked_infinite():
    return Masked("infinite")

def detector():
    torch.manual_seed(0)
    return Detector("kept")

def dead():
    torch.manual_seed(0)
    return Detector("dead")

def swapped():
    torch.manual_seed(0)
    return Detector("swapped")

def recogniser():
    torch.manual_seed(0)
    return Recogniser()

def net():
    torch.manual_seed(0)
    return Net()

def branches():
    return Branches()

def dice():
    return Random()
"""
EXAMPLE = {"image": np.ones((1, 1, 6, 6), np.float32), "shift": np.zeros((1, 3), np.float32)}


def source(tmp_path, builder, example):
    (tmp_path / "net.py").write_text(CODE)
    (tmp_path / "source").mkdir()
    (tmp_path / "onnx").mkdir()
    spec = SourceSpec(None, None, f"net:{builder}", None, tmp_path)
    return open_source(spec, example, tmp_path / "source")[0]


def compare(artifact, model, batch):
    session = ort.InferenceSession(artifact.file("model"))
    assert [i.name for i in session.get_inputs()] == [t.name for t in model.inputs]
    names = [o.name for o in session.get_outputs()]
    assert names == [t.name for t in model.outputs]
    wanted = load_module(model).run(batch)
    for name, found in zip(names, session.run(None, batch), strict=True):
        np.testing.assert_allclose(found, wanted[name], rtol=1e-3, atol=1e-5)


class TestPytorchToOnnx(ConversionConformance):
    conversion = PytorchToOnnx

    @pytest.fixture(scope="class")
    def source(self, tmp_path_factory):
        return source(tmp_path_factory.mktemp("net"), "net", EXAMPLE)


class _TorchFileToOnnx(ConversionConformance):
    @pytest.fixture(scope="class")
    def source(self, tmp_path_factory):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)).eval()
        x, folder = torch.randn(2, 1, 6, 6), tmp_path_factory.mktemp("source")
        path = folder / "model.pt"
        if self.conversion.origin == "torchscript":
            torch.jit.trace(net, x).save(str(path))
        else:
            free = {"input": {0: torch.export.Dim.DYNAMIC}}
            torch.export.save(torch.export.export(net, (x,), dynamic_shapes=free), path)
        (folder / "source").mkdir()
        spec = SourceSpec(None, path, None, None, folder)
        return open_source(spec, {"input": x.numpy()}, folder / "source")[0]


class TestTorchExportToOnnx(_TorchFileToOnnx):
    conversion = TorchExportToOnnx


class TestTorchScriptToOnnx(_TorchFileToOnnx):
    conversion = TorchScriptToOnnx


def test_a_module_becomes_one_file_and_nothing_is_printed(tmp_path, capfd):
    model = source(tmp_path, "net", EXAMPLE)
    artifact = convert(model, "onnx", EXAMPLE, tmp_path / "onnx")
    assert sorted(p.name for p in artifact.folder.iterdir()) == ["manifest.json", "model.onnx"]
    assert capfd.readouterr() == ("", "")


def test_what_export_cannot_follow_is_traced_instead(tmp_path):
    example = {"x": np.ones((2, 4), np.float32)}
    model = source(tmp_path, "branches", example)
    artifact = convert(model, "onnx", example, tmp_path / "onnx")
    compare(artifact, model, {"x": np.full((3, 4), 2, np.float32)})


def test_disagreement_with_the_source_is_an_error(tmp_path):
    example = {"x": np.ones((2, 64), np.float32)}
    model = source(tmp_path, "dice", example)
    with pytest.raises(BuildError, match=r"dynamo exporter.*script exporter"):
        convert(model, "onnx", example, tmp_path / "onnx")
    assert list((tmp_path / "onnx").iterdir()) == []


IMAGES = {"image": np.random.default_rng(0).standard_normal((2, 3, 12, 12)).astype(np.float32)}


def test_scores_beside_pixels_are_converted(tmp_path):
    model = source(tmp_path, "detector", IMAGES)
    artifact = convert(model, "onnx", IMAGES, tmp_path / "onnx")
    compare(artifact, model, {"image": IMAGES["image"][:1]})


@pytest.mark.parametrize("exported", ["dead", "swapped"])
def test_wrong_scores_beside_pixels_are_an_error(tmp_path, exported):
    model = source(tmp_path, exported, IMAGES)
    with pytest.raises(BuildError, match=r"differs in ONNX: channel [456] of axis 1 by 0\."):
        convert(model, "onnx", IMAGES, tmp_path / "onnx")


def test_what_is_masked_is_converted(tmp_path):
    example = {"x": np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)}
    model = source(tmp_path, "masked", example)
    compare(convert(model, "onnx", example, tmp_path / "onnx"), model, example)


@pytest.mark.parametrize("exported", ["dead", "unmasked", "infinite"])
def test_what_differs_beside_masks_or_in_them_is_an_error(tmp_path, exported):
    example = {"x": np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32)}
    model = source(tmp_path, f"masked_{exported}", example)
    with pytest.raises(BuildError, match="differs in ONNX"):
        convert(model, "onnx", example, tmp_path / "onnx")


def test_unknown_conversions_are_refused(tmp_path):
    model = source(tmp_path, "net", EXAMPLE)
    with pytest.raises(BuildError, match="no conversion from onnx to torchscript"):
        convert(dataclasses.replace(model, format="onnx"), "torchscript", EXAMPLE, tmp_path)


HALF = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 16)
        self.norm = nn.LayerNorm(16)
        self.middle = nn.Linear(16, 16)
        self.out = nn.Linear(16, 20, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, tokens, scale):
        x = self.norm(self.embed(tokens) * scale.unsqueeze(1).to(self.embed.weight.dtype))
        return self.out(torch.relu(self.middle(x)))

def build():
    torch.manual_seed(0)
    return Net().to(torch.{dtype})
"""


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("kind", ["pytorch", "torch_export"])
def test_half_precision_becomes_float32(tmp_path, dtype, kind):
    (tmp_path / "half.py").write_text(HALF.format(dtype=dtype))
    rng = np.random.default_rng(0)
    batch = {
        "tokens": rng.integers(0, 20, (3, 5)),
        "scale": rng.standard_normal((3, 1)).astype(np.float32),
    }
    for name in ("source", "onnx"):
        (tmp_path / name).mkdir()
    spec = SourceSpec(None, None, "half:build", None, tmp_path)
    if kind == "torch_export":
        module = open_source(spec, batch, tmp_path / "source")
        module = load_module(module[0]).inner
        tensors = (torch.from_numpy(batch["tokens"]), torch.from_numpy(batch["scale"]))
        free = ({0: torch.export.Dim.DYNAMIC},) * 2
        program = torch.export.export(module, tensors, dynamic_shapes=free)
        torch.export.save(program, tmp_path / "half.pt2")
        (tmp_path / "archive").mkdir()
        spec = SourceSpec(None, tmp_path / "half.pt2", None, None, tmp_path)
        model, info = open_source(spec, batch, tmp_path / "archive")
    else:
        model, info = open_source(spec, batch, tmp_path / "source")
    assert info.weights_text == f"{dtype} weights"
    assert info.dynamic_batch
    converted = convert(model, "onnx", batch, tmp_path / "onnx")
    session = ort.InferenceSession(converted.file("model"))
    assert {i.type for i in session.get_inputs()} == {"tensor(int64)", "tensor(float)"}
    (found,) = session.run(None, batch)
    wanted = load_module(model).run(batch)["output"]
    limit = {"float16": 0.004, "bfloat16": 0.03}[dtype] * np.abs(wanted).max()
    assert 0 < np.abs(found - wanted).max() < limit


@pytest.mark.parametrize("scripted", [False, True])
def test_the_batch_is_free_along_the_axis_of_the_rows(tmp_path, scripted):
    example = {"frames": np.ones((2, 6, 4), np.float32)}
    model = source(tmp_path, "recogniser", example)
    if scripted:
        traced = torch.jit.trace(load_module(model).inner, torch.ones(2, 6, 4))
        traced.save(str(tmp_path / "model.pt"))
        spec = SourceSpec(None, tmp_path / "model.pt", None, None, tmp_path)
        model, _ = open_source(spec, example, tmp_path / "source")
    assert [spec.row_axis for spec in model.outputs] == [None, 1]
    artifact = convert(model, "onnx", example, tmp_path / "onnx")
    compare(artifact, model, {"frames": np.full((5, 6, 4), 2, np.float32)})
    places, steps = ort.InferenceSession(artifact.file("model")).get_outputs()
    assert (places.shape, steps.shape[0], steps.shape[2]) == ([2, 3], 6, 3)
    assert isinstance(steps.shape[1], str)


def test_half_precision_that_cannot_be_widened_is_told(tmp_path):
    class Casts(nn.Linear):
        def forward(self, x):
            return super().forward(x.to(torch.bfloat16))

    torch.jit.trace(Casts(4, 2).bfloat16(), torch.ones(2, 4)).save(str(tmp_path / "casts.pt"))
    for name in ("source", "onnx"):
        (tmp_path / name).mkdir()
    batch = {"x": np.ones((2, 4), np.float32)}
    spec = SourceSpec(None, tmp_path / "casts.pt", None, None, tmp_path)
    model = open_source(spec, batch, tmp_path / "source")[0]
    with pytest.raises(BuildError, match="cannot be computed in float32"):
        convert(model, "onnx", batch, tmp_path / "onnx")
