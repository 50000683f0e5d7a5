from pathlib import Path
from types import MappingProxyType

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from hamerspace.backends.onnxruntime.backend import OnnxRuntimeBackend
from hamerspace.backends.onnxruntime.config import CONFIG
from hamerspace.errors import BuildError
from hamerspace.tasks.model import ModelArtifact
from hamerspace.testing.backends import BackendConformance, Tolerance
from tests import onnx_models as tiny


class OnnxRuntimeConformance(BackendConformance):
    config = CONFIG
    needs_calibration = MappingProxyType({"onnxruntime.quantization": ("static_int8",)})

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


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def build(source, workdir, calibration=None, **parameters):
    return OnnxRuntimeBackend().build(source, parameters, calibration, workdir)


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


@pytest.mark.parametrize("opset", [11, 12, 17])
def test_old_opsets_still_get_per_channel_static_int8(tmp_path, workdir, opset):
    source = tiny.conv_net(tmp_path / "source", opset=opset)
    candidate = build(source, workdir, tiny.calibration(source), quantization="static_int8")
    assert candidate.metadata["per_channel"]
    assert candidate.metadata["opset"] >= 13
    batch = tiny.inputs(source, 3)
    outputs = OnnxRuntimeBackend().load(candidate, 1).run(batch)
    expected = tiny.reference(source)(batch)
    assert np.corrcoef(outputs["logits"].ravel(), expected["logits"].ravel())[0, 1] > 0.97


def test_opset_that_cannot_be_raised_falls_back_to_per_tensor(tmp_path, workdir, monkeypatch):
    def refuse(*_):
        raise RuntimeError("no adapter")

    source = tiny.conv_net(tmp_path / "source", opset=12)
    monkeypatch.setattr("onnx.version_converter.convert_version", refuse)
    candidate = build(source, workdir, tiny.calibration(source), quantization="static_int8")
    assert not candidate.metadata["per_channel"]
    OnnxRuntimeBackend().load(candidate, 1).run(tiny.inputs(source, 2))


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
