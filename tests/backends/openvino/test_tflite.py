"""OpenVINO reads TFLite files directly; names and order are those of their signature."""

import numpy as np
import pytest

from hamerspace.backends.base import BuildJob
from hamerspace.backends.openvino.backend import OpenVinoBackend
from hamerspace.tasks.model import ModelArtifact
from hamerspace.tasks.tflite import TfliteModel
from tests import onnx_models as tiny

pytest.importorskip("tensorflow")
from tests import tflite_models

BACKEND = OpenVinoBackend()


@pytest.fixture(scope="module")
def keras_net():
    return tflite_models.conv_net()


@pytest.fixture(scope="module")
def source(keras_net, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tflite")
    return tflite_models.save(keras_net, folder, ("scores", "logits"))


@pytest.fixture(scope="module")
def quantized(keras_net, source, tmp_path_factory):
    """The same network with int8 weights, as the converter's default makes it."""
    import tensorflow as tf

    from hamerspace.tasks.tflite import name_signature

    converter = tf.lite.TFLiteConverter.from_keras_model(keras_net)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    folder = tmp_path_factory.mktemp("quantized")
    path = folder / "net.tflite"
    path.write_bytes(converter.convert())
    names = {f"output_{i}": spec.name for i, spec in enumerate(source.outputs)}
    name_signature(path, {"image": "image"}, names)
    metadata = {"model": path.name}
    return ModelArtifact(folder, "tflite", source.inputs, source.outputs, metadata).save()


def expected(source, batch):
    return TfliteModel(source.file("model"), source.inputs, source.outputs).run(batch)


@pytest.mark.parametrize(("which", "tolerance"), [("source", 1e-4), ("quantized", 2e-2)])
def test_what_litert_computes(request, tmp_path, which, tolerance):
    model = request.getfixturevalue(which)
    candidate = BACKEND.build(BuildJob(model, {}, None, tmp_path))
    for rows in (1, 3):
        batch = tiny.inputs(model, rows)
        found = BACKEND.load(candidate, 1).run(batch)
        wanted = expected(model, batch)
        assert list(found) == ["scores", "logits"]
        for name, array in wanted.items():
            np.testing.assert_allclose(found[name], array, atol=tolerance, err_msg=name)


def test_it_is_quantised_like_any_other(tmp_path, source):
    data = tiny.calibration(source)
    ranked = BACKEND.sensitivity(BuildJob(source, {"quantization": "int8"}, data, tmp_path))
    assert all("_" not in name or not name.startswith("Convolution") for name, _ in ranked)
    kept = [ranked[0][0]]
    candidate = BACKEND.build(BuildJob(source, {"quantization": "int8"}, data, tmp_path, kept))
    batch = tiny.inputs(source, 8)
    found, wanted = BACKEND.load(candidate, 1).run(batch), expected(source, batch)
    assert np.corrcoef(found["logits"].ravel(), wanted["logits"].ravel())[0, 1] > 0.97
