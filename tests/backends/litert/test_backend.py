import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from hamerspace.backends._sensitivity import relative_error
from hamerspace.backends.base import BuildJob
from hamerspace.backends.litert.backend import LiteRtBackend
from hamerspace.backends.litert.config import CONFIG
from hamerspace.errors import BuildError
from hamerspace.tasks.model import ModelArtifact
from hamerspace.testing._comparison import random_batch
from hamerspace.testing.backends import BackendConformance, Tolerance
from tests import tflite_models as tiny

pytest.importorskip("ai_edge_quantizer", reason="LiteRT is not installed")
pytest.importorskip("tensorflow", reason="TensorFlow, which makes the models, is not installed")


class LiteRtConformance(BackendConformance):
    config = CONFIG

    @pytest.fixture(scope="class")
    def source(self, model, tmp_path_factory):
        return tiny.save(model, tmp_path_factory.mktemp("source"), self.outputs)

    @pytest.fixture(scope="class")
    def reference(self, model, source):
        return tiny.reference(model, source)

    def tolerance(self, parameters):
        kind = parameters["litert.quantization"]
        if kind == "none":
            return Tolerance(0.9999, 1e-4)
        return Tolerance({"dynamic_int4": 0.8, "static_int8": 0.9}.get(kind, 0.98))


class TestConvNet(LiteRtConformance):
    op_families = ("conv", "linear")
    outputs = ("scores", "logits")

    @pytest.fixture(scope="class")
    def model(self):
        return tiny.conv_net()

    @pytest.fixture(scope="class")
    def nothing_to_lower(self, tmp_path_factory):
        return tiny.save(tiny.weightless(), tmp_path_factory.mktemp("weightless"), self.outputs)


class TestEncoder(LiteRtConformance):
    op_families = ("attention", "embedding", "linear", "norm")
    outputs = ("logits", "hidden")

    @pytest.fixture(scope="class")
    def model(self):
        return tiny.encoder()

    def tolerance(self, parameters):
        # Untrained, with a mean over a normalised tensor: integers hold few of its digits.
        static = parameters["litert.quantization"] == "static_int8"
        return Tolerance(0.8) if static else super().tolerance(parameters)


@pytest.fixture(scope="module")
def keras_model():
    return tiny.conv_net()


@pytest.fixture(scope="module")
def source(keras_model, tmp_path_factory):
    return tiny.save(keras_model, tmp_path_factory.mktemp("net"), ("scores", "logits"))


@pytest.fixture
def build(source, tmp_path):
    """``build(float_layers=(), **parameters)`` gives the candidate, calibrated where needed."""

    def build(float_layers=(), **parameters):
        folder = tmp_path / f"candidate-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return LiteRtBackend().build(
            BuildJob(source, parameters, batches(source), folder, float_layers)
        )

    return build


def batches(source, count=4):
    return [random_batch(source, 4, seed) for seed in range(count)]


def error(candidate, keras_model, source):
    session, reference = LiteRtBackend().load(candidate, 1), tiny.reference(keras_model, source)
    given = batches(source)
    return relative_error([reference(b) for b in given], [session.run(b) for b in given])


@pytest.mark.parametrize("kind", ["static_int8", "dynamic_int8", "dynamic_int4", "weights_int8"])
def test_layers_kept_in_float_are_those_that_gain_most(build, source, keras_model, tmp_path, kind):
    chosen = {"quantization": kind, **({"min_weights": 0} if "dynamic" in kind else {})}
    (tmp_path / "ranking").mkdir()
    ranked = LiteRtBackend().sensitivity(
        BuildJob(source, chosen, batches(source), tmp_path / "ranking")
    )
    assert len(ranked) == 5
    assert [e for _, e in ranked] == sorted((e for _, e in ranked), reverse=True)
    all_, most, least = (
        error(build(kept, **chosen), keras_model, source)
        for kept in ((), (ranked[0][0],), (ranked[-1][0],))
    )
    assert most < min(least, all_)


def test_a_layer_that_does_not_exist_is_refused(build):
    with pytest.raises(BuildError, match="no_such_layer"):
        build(["no_such_layer"], quantization="dynamic_int8")


def test_an_output_that_feeds_another_layer_stays_right_under_static_int8(
    build, source, keras_model
):
    """The quantizer by itself makes the softmax read a float tensor as integers."""
    candidate = build(quantization="static_int8")
    batch = random_batch(source, 4, 0)
    found = LiteRtBackend().load(candidate, 1).run(batch)
    assert candidate.size_bytes < source.file("model").stat().st_size / 2
    np.testing.assert_allclose(found["scores"].sum(axis=1), 1, atol=0.03)
    wanted = tiny.reference(keras_model, source)(batch)
    np.testing.assert_allclose(found["logits"], wanted["logits"], atol=0.02)


def test_small_layers_stay_in_float_unless_asked_for(build):
    default = build(quantization="dynamic_int8").size_bytes
    assert build(quantization="dynamic_int8", min_weights=0).size_bytes < default


def test_dynamic_int8_is_what_tensorflow_s_converter_does(build, source, keras_model):
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(keras_model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    path = source.folder / "converter.tflite"
    path.write_bytes(converter.convert())
    ours = build(quantization="dynamic_int8")
    assert integer_weights(ours.folder / "model.tflite") == integer_weights(path) > 0
    assert ours.size_bytes == pytest.approx(path.stat().st_size, rel=0.05)


def integer_weights(path):
    """Number of weights that a file holds as int8."""
    from ai_edge_litert.interpreter import Interpreter

    details = Interpreter(model_path=str(path)).get_tensor_details()
    return sum(int(np.prod(d["shape"])) for d in details if d["dtype"] is np.int8)


def test_a_file_without_a_signature_can_be_quantised(source, keras_model, tmp_path):
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(source.file("model")))
    model.signatureDefs = None
    bare = tmp_path / "bare"
    bare.mkdir()
    flatbuffer_utils.write_model(model, str(bare / "net.tflite"))
    # The tensors of the file come in the order of the graph.
    artifact = replace(source, folder=bare, outputs=source.outputs[::-1])
    (tmp_path / "work").mkdir()
    parameters = {"quantization": "static_int8"}
    candidate = LiteRtBackend().build(
        BuildJob(artifact, parameters, batches(source), tmp_path / "work")
    )
    assert list(LiteRtBackend().load(candidate, 1).run(batches(source)[0])) == ["logits", "scores"]
    assert error(candidate, keras_model, source) < 0.01


def test_a_broken_file_is_a_build_error(source, tmp_path):
    broken = replace(source, folder=tmp_path)
    broken.file("model").write_bytes(b"not a model")
    (tmp_path / "work").mkdir()
    for parameters in ({}, {"quantization": "dynamic_int8"}):
        with pytest.raises(BuildError, match=r"\.tflite"):
            LiteRtBackend().build(BuildJob(broken, parameters, None, tmp_path / "work"))


def test_a_name_that_the_file_lacks_is_told_with_those_it_has(source, tmp_path):
    other = replace(source, inputs=(replace(source.inputs[0], name="picture"),))
    with pytest.raises(BuildError, match="no input 'picture' in its signature, but image"):
        LiteRtBackend().build(BuildJob(other, {}, None, tmp_path))


def test_a_keras_source_runs_in_keras(keras_model, source, tmp_path):
    keras_model.save(tmp_path / "net.keras")
    artifact = ModelArtifact(
        tmp_path, "keras", source.inputs, source.outputs, {"model": "net.keras"}
    ).save()
    candidate = LiteRtBackend().wrap_source(artifact)
    assert candidate.files == ("net.keras",)
    batch = random_batch(source, 3, 0)
    wanted = tiny.reference(keras_model, source)(batch)
    script = (
        "import sys, numpy as np\n"
        "from pathlib import Path\n"
        "from hamerspace.backends.candidate import Candidate\n"
        "from hamerspace.backends.litert.backend import LiteRtBackend\n"
        "candidate = Candidate.from_dict(__import__('json').loads(sys.argv[1]))\n"
        "found = LiteRtBackend().load(candidate, 1).run({'image': np.load(sys.argv[2])})\n"
        "np.savez(sys.argv[3], **found)\n"
    )
    np.save(tmp_path / "in.npy", batch["image"])
    files = [str(tmp_path / "in.npy"), str(tmp_path / "out.npz")]
    text = json.dumps(candidate.to_dict())
    subprocess.run([sys.executable, "-c", script, text, *files], check=True, timeout=120)
    with np.load(tmp_path / "out.npz") as found:
        assert set(found) == {layer.name for layer in keras_model.layers[-2:]}
        np.testing.assert_allclose(found["logits"], wanted["logits"], rtol=1e-4, atol=1e-5)
