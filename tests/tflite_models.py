"""Tiny TFLite models that TensorFlow's own converter makes, written as source artifacts."""

import os
from pathlib import Path

import numpy as np

from hamerspace.tasks.model import ModelArtifact, TensorSpec
from hamerspace.tasks.tflite import name_signature

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def conv_net():
    """Convolutions and two dense layers: image[?, 12, 12, 2] to logits[?, 5] and scores[?, 5]."""
    keras = _keras()
    layers = keras.layers
    image = keras.Input((12, 12, 2), name="image")
    x = layers.Conv2D(16, 3, padding="same", activation="relu", name="first")(image)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Conv2D(24, 3, strides=2, name="second")(x)
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    x = layers.Dense(64, activation="relu", name="hidden")(x)
    logits = layers.Dense(5, name="logits")(x)
    # Not in the order in which they are computed: the order must survive.
    return keras.Model(image, [layers.Softmax(name="scores")(logits), logits])


def weightless():
    keras = _keras()
    inputs = keras.Input((4,))
    return keras.Model(inputs, [keras.ops.tanh(inputs), keras.ops.sin(inputs)])


def encoder():
    """One transformer block: ids int32[?, 8] and gate float32[?, 1] to logits and hidden."""
    keras = _keras()
    layers = keras.layers
    ids = keras.Input((8,), dtype="int32", name="ids")
    gate = keras.Input((1,), name="gate")
    x = layers.Embedding(100, 32)(ids)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 16)(x, x))
    hidden = layers.LayerNormalization()(
        x + layers.Dense(32)(layers.Dense(64, activation="gelu")(x))
    )
    logits = layers.Dense(4)(layers.GlobalAveragePooling1D()(hidden) * gate)
    return keras.Model([ids, gate], [logits, hidden])


def save(model, folder: Path, outputs: tuple[str, ...]) -> ModelArtifact:
    """Convert a Keras model, naming its outputs, and write it as an artifact."""
    import tensorflow as tf

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "net.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    inputs = tuple(TensorSpec(t.name, t.dtype, tuple(t.shape)) for t in model.inputs)
    specs = tuple(
        TensorSpec(name, t.dtype, tuple(t.shape))
        for name, t in zip(outputs, model.outputs, strict=True)
    )
    names = {f"output_{i}": name for i, name in enumerate(outputs)}
    name_signature(path, {spec.name: spec.name for spec in inputs}, names)
    return ModelArtifact(folder, "tflite", inputs, specs, {"model": path.name}).save()


def reference(model, source: ModelArtifact):
    """What the Keras model computes, by the artifact's names."""

    def run(batch):
        given = [batch[spec.name] for spec in source.inputs]
        found = model(given if len(given) > 1 else given[0], training=False)
        names = [spec.name for spec in source.outputs]
        return {name: np.asarray(t) for name, t in zip(names, found, strict=True)}

    return run


def _keras():
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import keras

    keras.utils.set_random_seed(7)
    return keras
