"""Quantisation-aware training of a real small module, run by the runtimes it is made for."""

import numpy as np
import onnx
import onnxruntime as ort
import openvino as ov
import pytest

from hamerspace.compress import TechniqueJob, TrainingData
from hamerspace.compress.qat import TECHNIQUE
from hamerspace.compress.sparsifying import TECHNIQUE as SPARSIFY
from hamerspace.errors import BuildError
from hamerspace.tasks.model import ModelArtifact, SourceInfo, TensorSpec
from hamerspace.tasks.sources import SourceSpec, open_source
from hamerspace.tasks.torch_module import load_module
from hamerspace.testing.techniques import TechniqueConformance

CODE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(1, 16, 3, padding=1)
        self.norm = nn.BatchNorm2d(16)
        self.two = nn.Conv2d(16, 32, 3, padding=1)
        self.head = nn.Linear(32, 4)

    def forward(self, image):
        x = torch.relu(self.norm(self.one(image)))
        x = torch.relu(self.two(x)).mean(dim=(2, 3))
        return {"logits": self.head(x), "features": x}

class Branching(Net):
    def forward(self, image):
        if image.sum() > 1e9:
            image = image * 2
        return super().forward(image)

def build(cls):
    torch.manual_seed(0)
    net = cls()
    net.norm.running_mean.uniform_(-0.5, 0.5)
    net.norm.running_var.uniform_(0.5, 2.0)
    return net

def net():
    return build(Net)

def branching():
    return build(Branching)

def recurrent():
    return nn.GRU(4, 4)
"""
PARAMETERS = {
    "qat.method": "nncf",
    "qat.epochs": 1,
    "distill.temperature": 2.0,
    "distill.weight": 1.0,
}


def source(folder, builder="net", example=None):
    (folder / "net.py").write_text(CODE)
    (folder / "source").mkdir()
    spec = SourceSpec(None, None, f"net:{builder}", None, folder)
    example = example or {"image": np.ones((2, 1, 8, 8), np.float32)}
    return open_source(spec, example, folder / "source")[0]


def data(loss="none", rows=256):
    x = np.random.default_rng(0).standard_normal((rows, 1, 8, 8), np.float32)
    arrays = {"image": x}
    if loss != "none":
        arrays["labels"] = np.arange(rows) % 4
    return TrainingData(arrays, ("image",), loss, "logits")


def quantize(teacher, model, folder, given=None, **parameters):
    folder.mkdir()
    chosen = {**PARAMETERS, **parameters}
    TECHNIQUE.apply(TechniqueJob(teacher, model, chosen, given or data(), folder, 0))
    return ModelArtifact.load(folder)


class TestQat(TechniqueConformance):
    technique = TECHNIQUE
    op_families = ("conv", "linear")

    def chosen(self):
        return PARAMETERS

    @pytest.fixture(scope="class")
    def source(self, tmp_path_factory):
        return source(tmp_path_factory.mktemp("source"))

    @pytest.fixture(scope="class")
    def data(self):
        return data(rows=64)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("qat")


@pytest.fixture(scope="module")
def model(folder):
    return source(folder)


@pytest.fixture(scope="module")
def quantized(model, folder):
    return quantize(model, model, folder / "quantized")


def images():
    return np.random.default_rng(1).standard_normal((5, 1, 8, 8), np.float32)


def test_onnx_runtime_computes_what_the_source_does(model, quantized):
    wanted = load_module(model).run({"image": images()})
    session = ort.InferenceSession(quantized.file("model"))
    names = [spec.name for spec in quantized.outputs]
    found = dict(zip(names, session.run(names, {"image": images()}), strict=True))
    assert list(found) == list(wanted) == ["logits", "features"]
    for name, values in wanted.items():
        error = ((found[name] - values) ** 2).mean() / (values**2).mean()
        assert 0 < error < 0.01


def test_openvino_multiplies_in_int8(model, quantized):
    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = ov.compile_model(quantized.file("model"), "CPU", hint)
    wanted = load_module(model).run({"image": images()})["logits"]
    found = compiled(images())["logits"]
    assert ((found - wanted) ** 2).mean() < 0.01 * (wanted**2).mean()
    infos = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    kinds = {
        info["runtimePrecision"].value
        for info in infos
        if info["layerType"].value in ("Convolution", "FullyConnected")
    }
    assert kinds <= {"u8", "i8"}


def test_weights_are_stored_in_int8_and_norms_are_folded(quantized):
    graph = onnx.load(quantized.file("model"))
    kinds = {node.op_type for node in graph.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    assert "BatchNormalization" not in kinds
    wide = [w for w in graph.graph.initializer if len(w.dims) > 1]
    assert len(wide) == 3
    assert all(w.data_type == onnx.TensorProto.INT8 for w in wide)
    assert {entry.domain for entry in graph.opset_import} == {""}


def test_sparse_weights_stay_zero_and_labels_teach(model, tmp_path):
    (tmp_path / "sparse").mkdir()
    ratio = {"sparsify.ratio": 0.8}
    sparse = SPARSIFY.apply(TechniqueJob(model, model, ratio, None, tmp_path / "sparse", 0))
    given = data("cross_entropy", 64)
    result = quantize(model, sparse, tmp_path / "out", given, **{"distill.weight": 0.5})
    weights = [
        onnx.numpy_helper.to_array(w)
        for w in onnx.load(result.file("model")).graph.initializer
        if len(w.dims) > 1
    ]
    zeros = sum(int((w == 0).sum()) for w in weights)
    assert zeros >= 0.8 * sum(w.size for w in weights) - 1


def test_what_cannot_be_traced_is_quantised_with_its_norms(tmp_path):
    model = source(tmp_path, "branching")
    result = quantize(model, model, tmp_path / "out", data(rows=64))
    assert result.format == "onnx"


def test_nothing_to_quantise_is_a_build_error(tmp_path):
    example = {"input": np.ones((2, 3, 4), np.float32)}
    model = source(tmp_path, "recurrent", example)
    given = TrainingData({"input": np.ones((64, 3, 4), np.float32)}, ("input",), "none")
    with pytest.raises(BuildError, match="nothing to quantise"):
        quantize(model, model, tmp_path / "out", given)


def info(*families):
    spec = TensorSpec("x", "float32", (None, 4))
    return SourceInfo("pytorch", (spec,), (spec,), 10, 40, families)


@pytest.mark.parametrize(
    ("source_info", "loss", "refused"),
    [
        (info("conv"), "none", False),
        (info("linear"), "mse", False),
        (info("rnn"), "mse", True),
        (info("conv"), None, True),
    ],
)
def test_it_needs_layers_and_a_train_split(source_info, loss, refused):
    masks = TECHNIQUE.capabilities(source_info, loss)
    assert any(mask.covers("nncf") for mask in masks) == refused
    assert not any(mask.covers("none") for mask in masks)


@pytest.mark.parametrize(
    ("chosen", "active"),
    [
        ({"backend": "onnxruntime", "onnxruntime.quantization": "none"}, True),
        ({"backend": "openvino", "openvino.quantization": "none"}, True),
        ({"backend": "openvino", "openvino.quantization": "int8"}, False),
        ({"backend": "pytorch", "pytorch.quantization": "none"}, False),
    ],
)
def test_only_backends_that_run_it_as_it_is_offer_it(chosen, active):
    method, epochs = TECHNIQUE.parameters()
    assert method.active(chosen) == active
    assert epochs.active({**chosen, "qat.method": "nncf"})
    assert not epochs.active({**chosen, "qat.method": "none"})


def test_without_a_method_there_is_no_stage():
    assert TECHNIQUE.stage_parameters({"backend": "pytorch"}) is None
    assert TECHNIQUE.stage_parameters({"qat.method": "nncf", "distill.weight": 0.5}) == {
        "qat.method": "nncf",
        "qat.epochs": 1,
        "distill.temperature": 4.0,
        "distill.weight": 0.5,
    }
