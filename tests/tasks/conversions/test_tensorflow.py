"""Keras, SavedModel and TFLite to ONNX and TFLite: names, order, values and a free batch."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import tensorflow as tf

from hamerspace.errors import BuildError
from hamerspace.tasks.conversions import convert
from hamerspace.tasks.conversions.routes import NoRoute, find_route
from hamerspace.tasks.tensorflow_module import load_function
from hamerspace.tasks.tflite import TfliteModel
from tests import keras_models as km


@pytest.fixture(
    scope="module", params=["conv_net", "two_inputs", "attention", "lstm", "saved_model"]
)
def source(request, tmp_path_factory):
    """An artifact and one batch of four rows."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "saved_model":
        km.two_inputs().export(folder / "net", verbose=False)
        artifact, _ = km.opened(folder / "net", folder / "source")
    else:
        example = {"ids": np.arange(24, dtype=np.int32).reshape(2, 12)}
        given = example if request.param == "attention" else None
        artifact, _ = km.source(getattr(km, request.param)(), folder, example=given)
    return artifact, _batch(artifact, 4)


def test_to_onnx(source, tmp_path):
    artifact, batch = source
    found = convert(artifact, "onnx", batch, tmp_path)
    assert (found.inputs, found.outputs) == (artifact.inputs, artifact.outputs)
    session = ort.InferenceSession(found.file("model"))
    assert [t.name for t in session.get_inputs()] == [t.name for t in artifact.inputs]
    names = [t.name for t in session.get_outputs()]
    assert names == [t.name for t in artifact.outputs]
    more = _batch(artifact, 7)
    _agree(
        load_function(artifact).run(more), dict(zip(names, session.run(None, more), strict=True))
    )


def test_to_tflite_with_the_weights(source, tmp_path):
    artifact, batch = source
    found = convert(artifact, "tflite", batch, tmp_path)
    recurrent = "steps" in batch
    assert found.inputs[0].shape[0] == (4 if recurrent else None)
    model = TfliteModel(found.file("model"), found.inputs, found.outputs)
    more = batch if recurrent else _batch(artifact, 7)
    _agree(load_function(artifact).run(more), model.run(more))
    assert list(model.run(more)) == [t.name for t in artifact.outputs]


def test_tflite_to_onnx(tmp_path):
    artifact, _ = km.source(km.conv_net(), tmp_path / "a")
    batch = _batch(artifact, 3)
    lite = convert(artifact, "tflite", batch, _folder(tmp_path, "lite"))
    found = convert(lite, "onnx", batch, _folder(tmp_path, "onnx"))
    names = [t.name for t in found.outputs]
    assert names == ["digits", "odd"]
    session = ort.InferenceSession(found.file("model"))
    assert [t.name for t in session.get_inputs()] == ["image"]
    _agree(
        load_function(artifact).run(batch), dict(zip(names, session.run(names, batch), strict=True))
    )


def test_quantised_tflite_stays_as_it_is(tmp_path):
    converter = tf.lite.TFLiteConverter.from_keras_model(km.conv_net())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    (tmp_path / "model.tflite").write_bytes(converter.convert())
    _, info = km.opened(tmp_path / "model.tflite", tmp_path / "source")
    route = find_route("tflite", ("onnx",), info)
    assert isinstance(route, NoRoute)
    assert "quantised already" in route.reason


def test_a_converter_that_loses_the_weights_is_found_out(tmp_path, monkeypatch):
    """``from_concrete_functions`` given a function with variables leaves them out."""
    from hamerspace.tasks import tensorflow_module
    from hamerspace.tasks.conversions import tensorflow_tflite

    artifact, _ = km.source(km.two_inputs(), tmp_path / "a")
    monkeypatch.setattr(
        tensorflow_module, "frozen", lambda function, rows=None: function.concrete(rows)
    )

    def naive(graph):
        return tf.lite.TFLiteConverter.from_concrete_functions([graph], tf.Module()).convert()

    monkeypatch.setattr(tensorflow_tflite, "_convert", naive)
    with pytest.raises(BuildError):
        convert(artifact, "tflite", _batch(artifact, 2), _folder(tmp_path, "b"))


def test_gelu_needs_no_operator_that_onnx_lacks(tmp_path):
    example = {"ids": np.arange(24, dtype=np.int32).reshape(2, 12)}
    artifact, _ = km.source(km.attention(), tmp_path / "a", example=example)
    found = convert(artifact, "onnx", example, _folder(tmp_path, "b"))
    operators = {node.op_type for node in onnx.load(found.file("model")).graph.node}
    assert "Erf" in operators
    assert "Erfc" not in operators


@pytest.mark.parametrize("target", ["onnx", "tflite"])
def test_activations_with_gradients_of_their_own_are_converted(tmp_path, target):
    image = km.keras.Input((8, 8, 3), name="image")
    x = km.layers.Conv2D(4, 3, activation="swish")(image)
    net = km.keras.Model(image, km.layers.Dense(3, "swish")(km.layers.Flatten()(x)))
    artifact, _ = km.source(net, tmp_path / "net")
    # Its outputs are compared with the model's by the conversion itself.
    assert (
        convert(artifact, target, _batch(artifact, 4), _folder(tmp_path, target)).format == target
    )


def test_a_recurrent_saved_model_has_no_way_to_tflite(tmp_path):
    km.lstm().export(tmp_path / "net", verbose=False)
    _, info = km.opened(tmp_path / "net", tmp_path / "source")
    from hamerspace.tasks.conversions.tensorflow_tflite import SavedModelToTflite

    assert "batch is fixed" in SavedModelToTflite().refuses(info)


def _batch(artifact, rows):
    rng = np.random.default_rng(rows)
    return {t.name: t.sample(rows, rng) for t in artifact.inputs}


def _folder(parent, name):
    (parent / name).mkdir()
    return parent / name


def _agree(wanted, found):
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-3, atol=1e-4)
