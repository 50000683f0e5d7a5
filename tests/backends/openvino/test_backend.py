import re
import subprocess
import sys

import numpy as np
import pytest
from onnx import numpy_helper

from hamerspace.backends.base import BuildJob
from hamerspace.backends.onnxruntime.backend import OnnxRuntimeBackend
from hamerspace.backends.openvino.backend import OpenVinoBackend
from hamerspace.backends.openvino.config import CONFIG
from hamerspace.errors import BuildError, NothingToLowerError
from hamerspace.tasks.model import TensorSpec
from hamerspace.testing.backends import BackendConformance, Tolerance
from tests import onnx_models as tiny
from tests.backends import graphs


class OpenVinoConformance(BackendConformance):
    config = CONFIG

    @pytest.fixture(scope="class")
    def reference(self, source):
        return tiny.reference(source)

    def tolerance(self, parameters):
        lossless = parameters["openvino.quantization"] == "none"
        if lossless and parameters["openvino.precision"] == "f32":
            return Tolerance(0.9999, 1e-4)
        return Tolerance(0.999) if lossless else Tolerance(0.95)


class TestConvNet(OpenVinoConformance):
    op_families = ("conv", "linear", "norm")
    refused = ("weights_int4",)  # convolutions get 8 bits, as does so small a layer

    @pytest.fixture(scope="class")
    def source(self, tmp_path_factory):
        return tiny.conv_net(tmp_path_factory.mktemp("source"), external_data=True)


class TestEncoder(OpenVinoConformance):
    op_families = ("attention", "embedding", "linear", "norm")

    @pytest.fixture(scope="class")
    def source(self, tmp_path_factory):
        return tiny.encoder(tmp_path_factory.mktemp("source"))


class TestRecogniser(OpenVinoConformance):
    """An output with its rows on another axis than the first, and one without any."""

    @pytest.fixture(scope="class")
    def source(self, tmp_path_factory):
        return tiny.recogniser(tmp_path_factory.mktemp("source"))


def build(source, folder, calibration=None, **parameters):
    folder.mkdir()
    return OpenVinoBackend().build(BuildJob(source, parameters, calibration, folder))


def run(candidate, batch, **runtime):
    return OpenVinoBackend().load(candidate.with_runtime(runtime), 1).run(batch)


def ops(candidate, kind):
    text = (candidate.folder / "model.xml").read_text()
    return len(re.findall(rf'element_type="{kind}"', text))


@pytest.mark.parametrize("make", [tiny.conv_net, tiny.encoder])
def test_the_baseline_is_f32_as_in_onnx_runtime(tmp_path, make):
    import openvino

    source = make(tmp_path / "source")
    batch = tiny.inputs(source, 4)
    (tmp_path / "ort").mkdir()
    other = OnnxRuntimeBackend()
    expected = other.load(other.build(BuildJob(source, {}, None, tmp_path / "ort")), 1).run(batch)
    candidate = build(source, tmp_path / "ov")

    def error(precision):
        found = run(candidate, batch, precision=precision)
        return max(float(np.abs(found[name] - expected[name]).max()) for name in expected)

    assert error("f32") < 1e-4
    if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        assert error("bf16") > 1e-4


def test_weights_take_fewer_bits(tmp_path):
    source = tiny.encoder(tmp_path / "source")
    sizes = []
    for kind in ("none", "weights_int8", "weights_int4"):
        candidate = build(source, tmp_path / kind, quantization=kind)
        sizes.append((candidate.folder / "model.bin").stat().st_size)
    assert sizes[0] > 3 * sizes[1] > 3 * sizes[2]


def test_a_group_size_that_divides_nothing_falls_back(tmp_path):
    source = tiny.encoder(tmp_path / "source")
    candidate = build(source, tmp_path / "c", quantization="weights_int4", group_size=128)
    assert ops(candidate, "u4") > 0


def test_smaller_groups_are_nearer_to_the_source(tmp_path):
    source = tiny.encoder(tmp_path / "source")
    batch = tiny.inputs(source, 16)
    expected = tiny.reference(source)(batch)["hidden"]
    errors = {}
    for kind in ("weights_int8", "weights_int4"):
        candidate = build(source, tmp_path / kind, quantization=kind)
        errors[kind] = float(np.square(run(candidate, batch)["hidden"] - expected).mean())
    assert 0 < errors["weights_int8"] < errors["weights_int4"]


@pytest.mark.parametrize("method", ["scale_estimation", "gptq"])
def test_looking_at_activations_finds_better_4_bit_weights(tmp_path, method):
    source = graphs.uneven(tmp_path / "source")
    data = tiny.calibration(source, rows=16)
    errors = {}
    for name in ("plain", method):
        candidate = build(
            source, tmp_path / name, data, quantization="weights_int4", int4_method=name
        )
        backend = OpenVinoBackend()
        errors[name] = graphs.relative_error(backend, candidate, data, tiny.reference(source))
    assert 0 < errors[method] < errors["plain"]


def test_smooth_quant_holds_at_batches_beyond_those_it_saw(tmp_path):
    """NNCF's transformer mode has returned garbage past a hundred rows."""
    source = tiny.encoder(tmp_path / "source")
    data = tiny.calibration(source)
    candidate = build(source, tmp_path / "c", data, quantization="int8", smooth_quant=True)
    batches = [tiny.inputs(source, 150)]
    reference = tiny.reference(source)
    assert graphs.relative_error(OpenVinoBackend(), candidate, batches, reference) < 0.05


def test_constant_embeddings_are_quantised_around(tmp_path):
    """Position embeddings looked up by constant ids trip NNCF where they are not folded."""
    specs = (TensorSpec("ids", "int64", (None, 8)),)
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)
        for name, shape in (("words", (100, 16)), ("places", (8, 16)), ("w", (16, 4)))
    ]
    weights.append(numpy_helper.from_array(np.arange(8), "order"))
    nodes = [
        graphs.node("Gather", ["words", "ids"], ["a"]),
        graphs.node("Gather", ["places", "order"], ["b"]),
        graphs.node("Add", ["a", "b"], ["c"]),
        graphs.node("MatMul", ["c", "w"], ["y"]),
    ]
    outputs = (TensorSpec("y", "float32", (None, 8, 4)),)
    source = graphs.save(tmp_path / "source", nodes, weights, specs, outputs)
    data = tiny.calibration(source)
    candidate = build(source, tmp_path / "c", data, quantization="int8")
    reference = tiny.reference(source)
    assert graphs.relative_error(OpenVinoBackend(), candidate, data, reference) < 1e-3


@pytest.mark.parametrize("kind", ["none", "int8", "weights_int8", "weights_int4"])
def test_models_with_subgraphs_are_quantised(tmp_path, kind):
    source = graphs.branching(tmp_path / "source")
    if kind == "weights_int4":  # no group of 32 fits
        with pytest.raises(NothingToLowerError, match="nothing to store in 4 bits"):
            build(source, tmp_path / "c", quantization=kind)
        return
    candidate = build(source, tmp_path / "c", tiny.calibration(source), quantization=kind)
    batch = tiny.inputs(source, 6)
    batches = [batch, {"x": -batch["x"]}]  # one for each branch
    error = graphs.relative_error(OpenVinoBackend(), candidate, batches, tiny.reference(source))
    assert error < {"none": 1e-9}.get(kind, 0.1)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_recurrent_layers_are_quantised_or_left_in_float(tmp_path, kind):
    """OpenVINO does not run a GRU whose weights NNCF has quantised."""
    source = graphs.recurrent(tmp_path / "source", kind)
    candidate = build(source, tmp_path / "c", tiny.calibration(source), quantization="int8")
    batches = [tiny.inputs(source, 6)]
    error = graphs.relative_error(OpenVinoBackend(), candidate, batches, tiny.reference(source))
    assert error < 0.1
    assert len(candidate.metadata.get("left_in_float", ())) == (kind == "GRU")


def test_the_preset_decides_about_zero_points(tmp_path):
    source = tiny.conv_net(tmp_path / "source")
    data = tiny.calibration(source)
    batch = tiny.inputs(source, 4)
    results = [
        run(build(source, tmp_path / preset, data, quantization="int8", preset=preset), batch)
        for preset in ("mixed", "performance")
    ]
    assert not np.array_equal(results[0]["logits"], results[1]["logits"])


def test_nothing_is_printed(tmp_path, capfd):
    source = tiny.encoder(tmp_path / "source")
    build(source, tmp_path / "a", tiny.calibration(source), quantization="int8", smooth_quant=True)
    build(source, tmp_path / "b", quantization="weights_int4", group_size=64)
    assert capfd.readouterr().out == ""


def test_nncf_is_imported_without_telemetry():
    script = (
        "import os\n"
        "from hamerspace.backends.openvino.quantize import quiet_nncf\n"
        "with quiet_nncf():\n"
        "    from nncf.telemetry import telemetry\n"
        "from nncf.telemetry.wrapper import NNCFTelemetry\n"
        "print(isinstance(telemetry, NNCFTelemetry), 'NNCF_CI' in os.environ)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split() == ["False", "False"]


def test_a_broken_file_is_a_build_error(tmp_path):
    source = tiny.conv_net(tmp_path / "source")
    source.file("model").write_bytes(b"not a model")
    with pytest.raises(BuildError, match=r"model\.onnx"):
        build(source, tmp_path / "c")


def test_an_unknown_runtime_option_is_refused(tmp_path):
    candidate = build(tiny.conv_net(tmp_path / "source"), tmp_path / "c")
    with pytest.raises(BuildError, match="did you mean 'precision'"):
        run(candidate, {}, precison="f32")


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_inputs_that_are_converted_outlive_the_run(tmp_path, dtype):
    """Each conversion makes an array of its own, which nothing else holds."""
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(rng.standard_normal((256, 8)).astype(dtype), name)
        for name in ("v", "w")
    ]
    nodes = [
        graphs.node("MatMul", ["a", "v"], ["m"]),
        graphs.node("MatMul", ["b", "w"], ["n"]),
        graphs.node("Sub", ["m", "n"], ["y"]),
    ]
    specs = tuple(TensorSpec(name, dtype, (None, 256)) for name in "ab")
    outputs = (TensorSpec("y", dtype, (None, 8)),)
    source = graphs.save(tmp_path / "source", nodes, weights, specs, outputs)
    session = OpenVinoBackend().load(build(source, tmp_path / "a", quantization="weights_int8"), 1)
    for _ in range(20):
        batch = {name: rng.standard_normal((1, 256)).astype(dtype) for name in "ab"}
        v, w = map(numpy_helper.to_array, weights)
        wanted = batch["a"].astype(float) @ v - batch["b"].astype(float) @ w
        found = session.run(batch)["y"]
        assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.99


def test_a_tied_table_is_stored_once(tmp_path):
    rng = np.random.default_rng(0)
    table = numpy_helper.from_array(rng.standard_normal((500, 64)).astype(np.float32), "table")
    nodes = [
        graphs.node("Gather", ["table", "ids"], ["e"]),
        graphs.node("Tanh", ["e"], ["t"]),
        graphs.node("Transpose", ["table"], ["turned"], perm=[1, 0]),
        graphs.node("MatMul", ["t", "turned"], ["y"]),
    ]
    inputs = (TensorSpec("ids", "int64", (None, 8)),)
    outputs = (TensorSpec("y", "float32", (None, 8, 500)),)
    source = graphs.save(tmp_path / "source", nodes, [table], inputs, outputs)
    candidate = build(source, tmp_path / "none")
    assert candidate.size_bytes < 1.2 * source.file("model").stat().st_size
    batch = {"ids": rng.integers(0, 500, (4, 8))}
    wanted = tiny.reference(source)(batch)["y"]
    found = OpenVinoBackend().load(candidate, 1).run(batch)["y"]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-3)
