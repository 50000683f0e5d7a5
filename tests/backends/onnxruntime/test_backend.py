import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from hamerspace.backends.base import BuildJob
from hamerspace.backends.onnxruntime.backend import OnnxRuntimeBackend
from hamerspace.backends.onnxruntime.config import CONFIG
from hamerspace.errors import BuildError
from hamerspace.recipe import Mask
from hamerspace.tasks.model import ModelArtifact, TensorSpec
from hamerspace.testing.backends import BackendConformance, Tolerance
from tests import onnx_models as tiny
from tests.backends import graphs


class OnnxRuntimeConformance(BackendConformance):
    config = CONFIG

    @pytest.fixture(scope="class")
    def reference(self, source):
        return tiny.reference(source)

    def tolerance(self, parameters):
        kind = parameters["onnxruntime.quantization"]
        if kind == "none":
            return Tolerance(0.9999, 1e-4)
        return Tolerance(0.999, 2e-2) if kind == "fp16" else Tolerance(0.97)


class TestConvNet(OnnxRuntimeConformance):
    op_families = ("conv", "linear", "norm")

    @pytest.fixture(scope="class")
    def source(self, tmp_path_factory):
        return tiny.conv_net(tmp_path_factory.mktemp("source"), external_data=True)


class TestEncoder(OnnxRuntimeConformance):
    op_families = ("attention", "embedding", "linear", "norm")

    @pytest.fixture(scope="class")
    def source(self, tmp_path_factory):
        return tiny.encoder(tmp_path_factory.mktemp("source"))


class TestRecogniser(OnnxRuntimeConformance):
    """An output with its rows on another axis than the first, and one without any."""

    @pytest.fixture(scope="class")
    def masks(self, source_info, host):
        # ONNX Runtime 1.32 dies as it loads a float16 constant that is an output.
        left_out = Mask("onnxruntime.quantization", ("fp16",), "it ends the process")
        return (*CONFIG.capabilities(source_info, host), left_out)

    @pytest.fixture(scope="class")
    def source(self, tmp_path_factory):
        return tiny.recogniser(tmp_path_factory.mktemp("source"))


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def build(source, workdir, calibration=None, **parameters):
    return OnnxRuntimeBackend().build(BuildJob(source, parameters, calibration, workdir))


def op_types(candidate):
    return {node.op_type for node in onnx.load(candidate.folder / "model.onnx").graph.node}


def test_external_data_count_into_the_size(tmp_path, workdir):
    source = tiny.conv_net(tmp_path / "source", external_data=True)
    candidate = build(source, workdir)
    assert candidate.files == ("model.onnx", "weights.bin")
    assert candidate.size_bytes > (workdir / "weights.bin").stat().st_size > 0


def test_quantised_models_hold_their_weights_inside(tmp_path, workdir):
    source = tiny.conv_net(tmp_path / "source", external_data=True)
    candidate = build(source, workdir, tiny.calibration(source), quantization="static_int8")
    assert candidate.files == ("model.onnx",)


def test_missing_external_data_is_named(tmp_path, workdir):
    source = tiny.conv_net(tmp_path / "source", external_data=True)
    source.folder.joinpath("weights.bin").unlink()
    with pytest.raises(BuildError, match=r"weights\.bin"):
        build(source, workdir)


def test_external_data_outside_the_folder_are_refused(tmp_path, workdir):
    source = tiny.conv_net(tmp_path / "source", external_data=True)
    model = onnx.load(source.file("model"), load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../secret.bin"
    source.file("model").write_bytes(model.SerializeToString())
    with pytest.raises(BuildError, match="outside its folder"):
        build(source, workdir)


@pytest.mark.parametrize("opset", [9, 10, 11, 12])
def test_old_opsets_still_get_per_channel_static_int8(tmp_path, workdir, opset):
    source = graphs.old_net(tmp_path / "source", opset)
    candidate = build(source, workdir, tiny.calibration(source), quantization="static_int8")
    assert candidate.metadata["per_channel"]
    assert candidate.metadata["opset"] >= 13
    weights = onnx.load(candidate.folder / "model.onnx").graph.initializer
    assert any(list(t.dims) == [16] and t.name.endswith("scale") for t in weights)
    batches = [tiny.inputs(source, 8, seed) for seed in range(3)]
    backend, reference = OnnxRuntimeBackend(), tiny.reference(source)
    assert graphs.relative_error(backend, candidate, batches, reference) < 1e-2


def test_an_opset_that_cannot_be_raised_is_refused(tmp_path, workdir, monkeypatch):
    def refuse(*_):
        raise RuntimeError("no adapter for Clip")

    source = tiny.conv_net(tmp_path / "source", opset=12)
    monkeypatch.setattr("onnx.version_converter.convert_version", refuse)
    with pytest.raises(BuildError, match=r"needs opset 13.*no adapter for Clip"):
        build(source, workdir, tiny.calibration(source), quantization="static_int8")


@pytest.mark.parametrize("opset", [12, 17])
@pytest.mark.parametrize(
    "kind", ["none", "static_int8", "dynamic_int8", "weights_int8", "weights_int4", "fp16"]
)
def test_models_with_subgraphs_are_quantised_around_them(tmp_path, workdir, kind, opset):
    source = graphs.branching(tmp_path / "source", opset=opset)
    candidate = build(source, workdir, tiny.calibration(source), quantization=kind)
    batch = tiny.inputs(source, 6)
    batches = [batch, {"x": -batch["x"]}]  # one for each branch
    error = graphs.relative_error(OnnxRuntimeBackend(), candidate, batches, tiny.reference(source))
    assert error < {"none": 1e-9, "weights_int4": 5e-2}.get(kind, 2e-3)


@pytest.mark.parametrize(("dtype", "rows"), [("int32", 3), ("int64", 1)])
def test_integer_inputs_and_several_outputs(tmp_path, workdir, dtype, rows):
    specs = (TensorSpec("a", dtype, (None, 4)), TensorSpec("b", dtype, (None, 4)))
    outputs = (TensorSpec("index", "int64", (None,)), TensorSpec("z", "float32", (None, 8)))
    weights = numpy_helper.from_array(np.eye(4, 8, dtype=np.float32), "w")
    nodes = [
        onnx.helper.make_node("Add", ["a", "b"], ["sum"]),
        onnx.helper.make_node("Cast", ["sum"], ["float"], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("MatMul", ["float", "w"], ["z"]),
        onnx.helper.make_node("ArgMax", ["z"], ["index"], axis=1, keepdims=0),
    ]
    source = graphs.save(tmp_path / "source", nodes, [weights], specs, outputs)
    batch = tiny.inputs(source, rows)
    expected = tiny.reference(source)(batch)
    for kind in ("none", "static_int8", "dynamic_int8", "weights_int8"):
        folder = workdir / kind
        folder.mkdir()
        candidate = build(source, folder, tiny.calibration(source), quantization=kind)
        found = OnnxRuntimeBackend().load(candidate, 1).run(batch)
        assert list(found) == ["index", "z"]
        assert found["index"].dtype == np.int64
        assert np.corrcoef(found["z"].ravel(), expected["z"].ravel())[0, 1] > 0.99


@pytest.mark.parametrize("kind", ["dynamic_int8", "weights_int4"])
def test_four_and_eight_bits_shrink_a_transformer(tmp_path, workdir, kind):
    source = tiny.encoder(tmp_path / "source")
    candidate = build(source, workdir, quantization=kind)
    assert candidate.size_bytes < 0.45 * source.file("model").stat().st_size


def test_blocks_take_gemm_layers_and_embeddings(tmp_path, workdir):
    source = tiny.conv_net(tmp_path / "conv")
    assert "MatMulNBits" in op_types(build(source, workdir, quantization="weights_int8"))
    encoder = tiny.encoder(tmp_path / "encoder")
    assert "GatherBlockQuantized" in op_types(build(encoder, workdir, quantization="weights_int4"))


def test_blocks_without_a_matrix_are_refused(tmp_path, workdir):
    source = tiny.half_net(tmp_path / "source")
    with pytest.raises(BuildError, match="no linear layer"):
        build(source, workdir, quantization="weights_int4")


def test_the_log_of_the_program_stays_as_it_was(tmp_path, workdir, capfd):
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    source = tiny.encoder(tmp_path / "source")
    build(source, workdir, quantization="weights_int4")
    build(source, workdir, quantization="none", fusion="transformer")
    assert (root.handlers, root.level) == before
    assert capfd.readouterr().out == ""


def test_transformer_fusion_computes_the_same(tmp_path, workdir):
    source = tiny.encoder(tmp_path / "source")
    candidate = build(source, workdir, fusion="transformer")
    assert "SkipLayerNormalization" in op_types(candidate)
    batches = [tiny.inputs(source, 5)]
    error = graphs.relative_error(OnnxRuntimeBackend(), candidate, batches, tiny.reference(source))
    assert error < 1e-9


def test_fusion_that_fuses_nothing_is_refused(tmp_path, workdir):
    source = graphs.uneven(tmp_path / "source")
    with pytest.raises(BuildError, match="finds none of its patterns"):
        build(source, workdir, fusion="transformer")


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_half_precision_recurrent_layers_load_or_fail_as_an_observation(tmp_path, workdir, kind):
    """ONNX Runtime has crashed here: whatever it does must end in a result."""
    source = graphs.recurrent(tmp_path / "source", kind)
    candidate = build(source, workdir, quantization="fp16")
    script = (
        "import numpy as np\n"
        "from pathlib import Path\n"
        "from hamerspace.backends.candidate import Candidate\n"
        "from hamerspace.backends.onnxruntime.backend import OnnxRuntimeBackend\n"
        f"candidate = Candidate.load(Path({str(candidate.folder)!r}))\n"
        "session = OnnxRuntimeBackend().load(candidate, 1)\n"
        "print(session.run({'x': np.zeros((2, 12, 6), np.float32)})['y'].dtype)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode != 0 or done.stdout.strip() == "float32"


def test_dynamic_int8_of_a_recurrent_model_can_leave_convolutions_alone(tmp_path, workdir):
    source = graphs.recurrent(tmp_path / "source")
    linear = build(source, workdir, quantization="dynamic_int8", dynamic_op_types="linear")
    assert {"DynamicQuantizeLSTM", "Conv"} <= op_types(linear)
    batches = [tiny.inputs(source, 8)]
    error = graphs.relative_error(OnnxRuntimeBackend(), linear, batches, tiny.reference(source))
    assert error < 1e-2


def test_static_int8_is_u8s8_per_channel(tmp_path, workdir):
    source = tiny.conv_net(tmp_path / "source")
    candidate = build(source, workdir, tiny.calibration(source), quantization="static_int8")
    model = onnx.load(candidate.folder / "model.onnx")
    tensors = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    conv_weights = [t for t in tensors.values() if t.dtype == np.int8 and t.ndim == 4]
    assert len(conv_weights) == 2
    quantizers = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert {tensors[node.input[2]].dtype for node in quantizers} == {np.dtype(np.uint8)}
    assert any(t.shape == (32,) and "scale" in name for name, t in tensors.items())


def test_linear_leaves_convolutions_alone(tmp_path, workdir):
    source = tiny.conv_net(tmp_path / "source")
    candidate = build(source, workdir, quantization="dynamic_int8", dynamic_op_types="linear")
    assert "Conv" in op_types(candidate)
    assert "MatMulInteger" in op_types(candidate)
    assert "ConvInteger" not in op_types(candidate)


def test_all_reaches_convolutions(tmp_path, workdir):
    source = tiny.conv_net(tmp_path / "source")
    candidate = build(source, workdir, quantization="dynamic_int8")
    assert "ConvInteger" in op_types(candidate)


def test_weights_in_constant_nodes_are_quantised(tmp_path, workdir):
    source = tiny.conv_net(tmp_path / "source")
    model = onnx.load(source.file("model"))
    weight = next(t for t in model.graph.initializer if t.name == "w3")
    model.graph.initializer.remove(weight)
    model.graph.node.insert(0, onnx.helper.make_node("Constant", [], ["w3"], value=weight))
    onnx.save_model(model, source.file("model"))
    candidate = build(source, workdir, quantization="dynamic_int8", dynamic_op_types="linear")
    assert "MatMulInteger" in op_types(candidate)


def test_a_parameter_without_its_condition_is_refused(tmp_path, workdir):
    source = tiny.conv_net(tmp_path / "source")
    with pytest.raises(BuildError, match="dynamic_op_types has a meaning only where"):
        build(source, workdir, quantization="fp16", dynamic_op_types="linear")


def test_a_broken_file_is_a_build_error(tmp_path, workdir):
    source = tiny.conv_net(tmp_path / "source")
    Path(source.file("model")).write_bytes(b"not a model")
    with pytest.raises(BuildError, match=r"model\.onnx"):
        build(source, workdir, quantization="fp16")


@pytest.mark.parametrize("kind", ["none", "static_int8", "dynamic_int8", "fp16"])
def test_stack_traces_of_the_exporter_are_not_shipped(tmp_path, workdir, kind):
    source = tiny.conv_net(tmp_path / "source", external_data=True)
    model = onnx.load(source.file("model"), load_external_data=False)
    for node in model.graph.node:
        node.metadata_props.add(key="pkg.torch.onnx.stack_trace", value="File secret.py" * 99)
    source.file("model").write_bytes(model.SerializeToString())
    candidate = build(source, workdir, tiny.calibration(source), quantization=kind)
    assert b"secret.py" not in (workdir / "model.onnx").read_bytes()
    assert OnnxRuntimeBackend().load(candidate, 1).run(tiny.inputs(source, 2))["logits"].any()


def test_float16_outputs_come_as_float32(tmp_path, workdir):
    source = tiny.half_net(tmp_path / "source")
    candidate = build(source, workdir)
    outputs = OnnxRuntimeBackend().load(candidate, 1).run(tiny.inputs(source, 2))
    assert outputs["y"].dtype == np.float32


def test_only_the_files_of_the_source_model_are_wrapped(tmp_path):
    source = tiny.conv_net(tmp_path)
    (tmp_path / "stray.txt").touch()
    assert OnnxRuntimeBackend().wrap_source(source).files == (source.metadata["model"],)
    metadata = {**source.metadata, "external": ["weights.bin"]}
    with_weights = ModelArtifact(tmp_path, "onnx", source.inputs, source.outputs, metadata)
    assert OnnxRuntimeBackend().wrap_source(with_weights).files[1:] == ("weights.bin",)
