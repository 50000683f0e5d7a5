"""What is called a tool's default is compared with the tool's own call, value by value."""

import inspect

import numpy as np
import pytest

from hamerspace.backends import BACKENDS
from hamerspace.backends.base import BuildJob
from hamerspace.tasks.model import SourceInfo, TensorSpec
from tests import onnx_models as tiny

SPECS = (TensorSpec("x", "float32", (None, 4)),)
FAMILIES = ("attention", "conv", "embedding", "linear", "norm")
# The documentation of ONNX Runtime wants unsigned activations on x86-64, where the signed ones are
# several times slower: docs/performance/model-optimizations/quantization.
DOCUMENTED = {"activation_type"}
# What the call is about, and not how it is done.
SUBJECT = {"model_input", "model_output", "calibration_data_reader", "model", "calibration_dataset"}


def default(backend, name):
    source = SourceInfo("onnx", SPECS, SPECS, 10, 40, FAMILIES)
    recipes = BACKENDS.load(backend).known_recipes(source)
    found = next(r.parameters for r in recipes if r.default_of == name)
    own = {n: v for n, v in found.items() if n.startswith(f"{backend}.")}
    runtime = {p.name for p in BACKENDS.load(backend).parameters() if p.runtime}
    return {n.removeprefix(f"{backend}."): v for n, v in own.items() if n not in runtime}


class CalledError(Exception):
    pass


def told(monkeypatch, module, function, backend, name, folder):
    """What a default's build tells a tool beyond the tool's own defaults."""
    signature = inspect.signature(getattr(module, function))

    def record(*args, **kwargs):
        given = signature.bind(*args, **kwargs).arguments
        raise CalledError(
            {
                n: v
                for n, v in given.items()
                if n not in SUBJECT and v != signature.parameters[n].default
            }
        )

    monkeypatch.setattr(module, function, record)
    monkeypatch.chdir(folder)
    source = tiny.conv_net(folder / "source")
    with pytest.raises(Exception) as error:
        BACKENDS.load(backend).create().build(
            BuildJob(source, default(backend, name), tiny.calibration(source), folder)
        )
    cause = error.value if isinstance(error.value, CalledError) else error.value.__cause__
    assert isinstance(cause, CalledError), error.value
    return cause.args[0]


def test_onnx_runtime_static_int8(tmp_path, monkeypatch):
    import onnxruntime.quantization as tool

    name = "ONNX Runtime static int8"
    found = told(monkeypatch, tool, "quantize_static", "onnxruntime", name, tmp_path)
    assert found.keys() <= DOCUMENTED
    assert found["activation_type"] == tool.QuantType.QUInt8


def test_onnx_runtime_dynamic_int8(tmp_path, monkeypatch):
    import onnxruntime.quantization as tool

    name = "ONNX Runtime dynamic int8"
    assert told(monkeypatch, tool, "quantize_dynamic", "onnxruntime", name, tmp_path) == {}


def test_nncf_int8(tmp_path, monkeypatch):
    nncf = pytest.importorskip("nncf")
    assert told(monkeypatch, nncf, "quantize", "openvino", "NNCF int8", tmp_path) == {}


def test_litert_dynamic_int8():
    pytest.importorskip("ai_edge_quantizer")
    from ai_edge_quantizer import recipe

    from hamerspace.backends.litert.quantize import _RECIPES

    chosen = default("litert", "LiteRT dynamic int8")
    ours = {**_RECIPES[chosen["quantization"]]}
    ours["op_config"] = {**ours["op_config"], "min_weight_elements": chosen["min_weights"]}
    # As TensorFlow's converter does it, with small layers left alone.
    (theirs,) = recipe.dynamic_legacy_wi8_afp32()
    assert theirs["op_config"]["weight_tensor_config"].pop("block_size") == 0
    assert {**ours, "op_config": None} == {**theirs, "op_config": None}
    assert ours["op_config"] == theirs["op_config"]


def test_pytorch_dynamic_int8():
    torch = pytest.importorskip("torch")
    from torch import nn
    from torch.ao.quantization import quantize_dynamic

    from hamerspace.backends.pytorch.quantize import quantize
    from hamerspace.tasks.torch_module import NamedModule

    def make():
        torch.manual_seed(0)
        layers = [nn.Linear(8, 8), nn.LSTM(8, 8), nn.GRU(8, 8), nn.Conv1d(8, 8, 1)]
        cells = [nn.LSTMCell(8, 8), nn.GRUCell(8, 8), nn.RNNCell(8, 8), nn.Embedding(8, 8)]
        return nn.ModuleList([*layers, *cells])

    kind = default("pytorch", "PyTorch dynamic int8")["quantization"]
    ours = quantize(NamedModule(make(), ["x"], ["y"]), kind, (), ())
    theirs = quantize_dynamic(make())
    assert [type(m) for m in ours.inner] == [type(m) for m in theirs]


def test_every_default_is_held_here():
    source = SourceInfo("pytorch", SPECS, SPECS, 10, 40, FAMILIES)
    names = {r.default_of for name in BACKENDS for r in BACKENDS.load(name).known_recipes(source)}
    held = {
        "LiteRT dynamic int8",
        "NNCF int8",
        "ONNX Runtime dynamic int8",
        "ONNX Runtime static int8",
        "PyTorch dynamic int8",
    }
    assert names - {""} == held


@pytest.mark.parametrize("correction", ["fast", "accurate", "none"])
def test_depthwise_convolutions_take_int8(tmp_path, monkeypatch, correction):
    """Aligning channels, which is no default, made NNCF fail on them."""
    pytest.importorskip("nncf")
    monkeypatch.chdir(tmp_path)
    source = tiny.depthwise(tmp_path / "source")
    config = BACKENDS.load("openvino")
    chosen = {"quantization": "int8", "preset": "performance", "bias_correction": correction}
    candidate = config.create().build(BuildJob(source, chosen, tiny.calibration(source), tmp_path))
    assert candidate.metadata["lowered"] > 0.8
    batch = tiny.inputs(source, 8)
    found = config.create().load(candidate, 1).run(batch)["y"]
    assert np.corrcoef(found.ravel(), tiny.reference(source)(batch)["y"].ravel())[0, 1] > 0.95
