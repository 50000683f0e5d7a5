"""Operators that a quantiser cannot take cost no more than themselves, at every opset."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from hamerspace.backends.base import BuildJob
from hamerspace.backends.onnxruntime.backend import OnnxRuntimeBackend
from hamerspace.errors import BuildError
from hamerspace.tasks.model import TensorSpec
from tests import onnx_models as tiny
from tests.backends import graphs

node = helper.make_node
BACKEND = OnnxRuntimeBackend()
NEWEST = onnx.defs.onnx_opset_version()


def weight(name, *shape):
    values = np.random.default_rng(sum(shape)).normal(0, 0.3, shape)
    return numpy_helper.from_array(values.astype(np.float32), name)


def convolution(folder, opset):
    nodes = [
        node("Conv", ["x", "w"], ["c"], pads=[1] * 4),
        node("BatchNormalization", ["c", "one", "b", "b", "one"], ["n"]),
        node("Relu", ["n"], ["r"]),
        node("GlobalAveragePool", ["r"], ["p"]),
        node("Flatten", ["p"], ["f"]),
        node("Gemm", ["f", "g", "h"], ["y"]),
    ]
    one = numpy_helper.from_array(np.ones(16, np.float32), "one")
    weights = [weight("w", 16, 3, 3, 3), weight("b", 16), one, weight("g", 16, 5), weight("h", 5)]
    inputs = (TensorSpec("x", "float32", (None, 3, 8, 8)),)
    return _save(folder, nodes, weights, inputs, (None, 5), opset)


def recurrent(folder, opset):
    squeeze = node("Squeeze", ["h"], ["s"], axes=[0])
    weights = [weight("wx", 1, 96, 8), weight("wh", 1, 96, 24), weight("v", 24, 5)]
    if opset >= 13:
        squeeze = node("Squeeze", ["h", "axis"], ["s"])
        weights.append(numpy_helper.from_array(np.array([0]), "axis"))
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        node("LSTM", ["t", "wx", "wh"], ["", "h"], hidden_size=24),
        squeeze,
        node("MatMul", ["s", "v"], ["y"]),
    ]
    inputs = (TensorSpec("x", "float32", (None, 6, 8)),)
    return _save(folder, nodes, weights, inputs, (None, 5), opset)


def attention(folder, opset):
    nodes = [node("MatMul", ["x", name], [f"{name}x"]) for name in "qkv"]
    nodes += [
        node("Attention", ["qx", "kx", "vx"], ["a"], q_num_heads=2, kv_num_heads=2),
        node("MatMul", ["a", "o"], ["y"]),
    ]
    weights = [weight(name, 16, 16) for name in "qkvo"]
    inputs = (TensorSpec("x", "float32", (None, 6, 16)),)
    return _save(folder, nodes, weights, inputs, (None, 6, 16), opset)


def upsampling(folder, opset=17):
    """As decoders of images have it, where a scale a channel does not fit the groups."""
    nodes = [
        node("Conv", ["x", "w"], ["c"], pads=[1] * 4),
        node("ConvTranspose", ["c", "u", "b"], ["t"], name="up", group=4, strides=[2, 2]),
        node("Conv", ["t", "v"], ["y"]),
    ]
    weights = [weight("w", 16, 3, 3, 3), weight("u", 16, 2, 2, 2), weight("v", 3, 8, 1, 1)]
    weights.append(weight("b", 8))
    inputs = (TensorSpec("x", "float32", (None, 3, 8, 8)),)
    return _save(folder, nodes, weights, inputs, (None, 3, 16, 16), opset)


def _save(folder, nodes, weights, inputs, shape, opset):
    return graphs.save(
        folder,
        nodes,
        weights,
        inputs,
        (TensorSpec("y", "float32", shape),),
        opset=opset,
        ir_version=8 if opset < 21 else 10,
    )


def build(source, folder, kind):
    folder.mkdir()
    return BACKEND.build(BuildJob(source, {"quantization": kind}, tiny.calibration(source), folder))


def error(source, candidate):
    batch = tiny.inputs(source, 4)
    wanted = BACKEND.load(BACKEND.wrap_source(source), 1).run(batch)["y"]
    found = BACKEND.load(candidate, 1).run(batch)["y"]
    return np.square(found - wanted).sum() / np.square(wanted).sum()


@pytest.mark.parametrize("kind", ["static_int8", "dynamic_int8"])
@pytest.mark.parametrize("opset", [*range(8, NEWEST + 1)])
@pytest.mark.parametrize("make", [convolution, recurrent, attention])
def test_every_opset_that_onnx_has_is_quantised(tmp_path, monkeypatch, make, opset, kind):
    if make is attention and opset < 23:
        pytest.skip("it is older than the operator")
    monkeypatch.chdir(tmp_path)
    source = make(tmp_path / "source", opset)
    candidate = build(source, tmp_path / "built", kind)
    # No static quantiser takes an LSTM; the layer behind it has 120 of the 3,192 weights.
    only_the_head = make is recurrent and kind == "static_int8"
    assert candidate.metadata["lowered"] == (
        pytest.approx(120 / 3192, abs=1e-4) if only_the_head else 1
    )
    assert error(source, candidate) < 0.02


def test_a_model_that_needs_both_remedies_gets_both(tmp_path, monkeypatch):
    """Of ONNX Runtime's two failures, the one over scales is made here."""
    from onnxruntime import quantization

    real = quantization.quantize_static

    def failing(*arguments, extra_options, **others):
        if not (extra_options or {}).get("QDQDisableWeightAdjustForInt32Bias"):
            raise ValueError("can only convert an array of size 1")
        return real(*arguments, extra_options=extra_options, **others)

    monkeypatch.setattr(quantization, "quantize_static", failing)
    monkeypatch.chdir(tmp_path)
    source = convolution(tmp_path / "source", NEWEST)
    candidate = build(source, tmp_path / "built", "static_int8")
    assert "left_in_float" not in candidate.metadata
    assert error(source, candidate) < 0.02


def test_one_operator_that_cannot_be_taken_stays_in_float(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = upsampling(tmp_path / "source")
    candidate = build(source, tmp_path / "built", "static_int8")
    assert candidate.metadata["left_in_float"] == ["up"]
    assert 0.5 < candidate.metadata["lowered"] < 1
    assert error(source, candidate) < 0.01


def test_what_fails_for_all_layers_is_not_tried_layer_by_layer(tmp_path, monkeypatch):
    from hamerspace.backends.onnxruntime import static

    def failing(calibration):
        calls.append(calibration)
        raise RuntimeError("the data end too early")

    calls = []
    monkeypatch.setattr(static, "_Reader", failing)
    monkeypatch.chdir(tmp_path)
    source = tiny.encoder(tmp_path / "source")
    with pytest.raises(BuildError, match="the data end too early"):
        build(source, tmp_path / "built", "static_int8")
    assert len(calls) == 2


def test_a_layer_that_fails_is_found_by_halves(tmp_path, monkeypatch):
    from hamerspace.backends.onnxruntime.static import StaticInt8

    tried = []
    real = StaticInt8.quantize_only
    monkeypatch.setattr(
        StaticInt8, "quantize_only", lambda *given: [tried.append(given), real(*given)]
    )
    monkeypatch.chdir(tmp_path)
    nodes = [node("Conv", [f"c{i - 1}", "v"], [f"c{i}"], name=f"conv{i}") for i in range(1, 32)]
    nodes = [node("Conv", ["x", "w"], ["c0"]), *nodes]
    nodes.append(
        node("ConvTranspose", ["c31", "u", "b"], ["y"], name="up", group=4, strides=[2, 2])
    )
    weights = [weight("w", 16, 3, 1, 1), weight("u", 16, 2, 2, 2), weight("v", 16, 16, 1, 1)]
    inputs = (TensorSpec("x", "float32", (None, 3, 8, 8)),)
    weights.append(weight("b", 8))
    source = _save(tmp_path / "source", nodes, weights, inputs, (None, 8, 16, 16), 17)
    candidate = build(source, tmp_path / "built", "static_int8")
    assert candidate.metadata["left_in_float"] == ["up"]
    assert len(tried) <= 1 + 2 * 6


@pytest.mark.parametrize("kind", ["static_int8", "dynamic_int8", "weights_int8", "weights_int4"])
def test_weights_beyond_one_message_are_quantised_from_beside_the_file(tmp_path, monkeypatch, kind):
    """With the limit that a message has lowered to what a test can hold."""
    from hamerspace.tasks.conversions import onnx_file

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(onnx_file, "_SINGLE_FILE_BYTES", 8_000)
    source = tiny.encoder(tmp_path / "source")
    candidate = build(source, tmp_path / "built", kind)
    assert candidate.metadata["lowered"] > 0.5
    assert candidate.size_bytes < 0.6 * source.file("model").stat().st_size
