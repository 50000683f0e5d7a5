"""Keras, SavedModel and TFLite to ONNX and TFLite: names, order, values and a free batch."""

import numpy as np
import onnx
import pytest
import tensorflow as tf

from hamerspace.errors import BuildError
from hamerspace.tasks.conversions import convert
from hamerspace.tasks.conversions.routes import NoRoute, find_route
from hamerspace.tasks.conversions.tensorflow import (
    KerasToOnnx,
    KerasToTflite,
    SavedModelToOnnx,
    SavedModelToTflite,
    TfliteToOnnx,
)
from hamerspace.testing.conversions import ConversionConformance
from tests import keras_models as km


def saved(origin, name, folder):
    """A model of :mod:`tests.keras_models`, in the format of an origin."""
    model, path = getattr(km, name)(), folder / "net"
    if origin == "keras":
        ids = {"ids": np.arange(24, dtype=np.int32).reshape(2, 12)}
        return km.source(model, folder, example=ids if name == "attention" else None)[0]
    if origin == "saved_model":
        model.export(path, verbose=False)
    else:
        path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    return km.opened(path, folder / "source")[0]


class _FromKeras(km.InProcess, ConversionConformance):
    @pytest.fixture(scope="class", params=["conv_net", "two_inputs", "attention", "lstm"])
    def source(self, request, tmp_path_factory):
        return saved("keras", request.param, tmp_path_factory.mktemp("source"))

    def keeps_batch(self, source):
        return (source.inputs[0].name, self.conversion.target) != ("steps", "tflite")


class TestKerasToOnnx(_FromKeras):
    conversion = KerasToOnnx


class TestKerasToTflite(_FromKeras):
    conversion = KerasToTflite


class _FromFile(km.InProcess, ConversionConformance):
    @pytest.fixture(scope="class")
    def source(self, tmp_path_factory):
        # TensorFlow's own converter takes no mapping of outputs.
        name = "conv_net" if self.conversion.origin == "tflite" else "two_inputs"
        return saved(self.conversion.origin, name, tmp_path_factory.mktemp("source"))


class TestSavedModelToOnnx(_FromFile):
    conversion = SavedModelToOnnx


class TestSavedModelToTflite(_FromFile):
    conversion = SavedModelToTflite


class TestTfliteToOnnx(_FromFile):
    conversion = TfliteToOnnx


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
    from hamerspace.tasks.conversions import tensorflow

    artifact, _ = km.source(km.two_inputs(), tmp_path / "a")
    monkeypatch.setattr(
        tensorflow_module, "frozen", lambda function, rows=None: function.concrete(rows)
    )

    def naive(graph):
        return tf.lite.TFLiteConverter.from_concrete_functions([graph], tf.Module()).convert()

    monkeypatch.setattr(tensorflow, "_convert", naive)
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
    assert "batch is fixed" in SavedModelToTflite().refuses(info)


def _batch(artifact, rows):
    rng = np.random.default_rng(rows)
    return {t.name: t.sample(rows, rng) for t in artifact.inputs}


def _folder(parent, name):
    (parent / name).mkdir()
    return parent / name
