"""Tiny Keras models with weights that are neither zero nor one."""

import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest
from keras import layers

from hamerspace.tasks.sources import SourceSpec, open_source
from hamerspace.tasks.tensorflow_module import load_function
from hamerspace.testing.sources import SourceConformance

IMAGES = {"image": np.random.default_rng(0).normal(size=(3, 8, 8, 3)).astype(np.float32)}


class InProcess:
    """For conformance suites: TensorFlow takes a number of threads once in a process only."""

    def run(self, model, batch):
        if model.format in ("keras", "saved_model"):
            return load_function(model).run(batch)
        return super().run(model, batch)


class ConvNetConformance(InProcess, SourceConformance):
    """The suite for a format of TensorFlow, whose file holds :func:`conv_net`."""

    @pytest.fixture(scope="class")
    def conv_net(self):
        return conv_net()

    @pytest.fixture(scope="class")
    def reference(self, conv_net):
        return lambda batch: [np.asarray(t) for t in conv_net(batch["image"], training=False)]


def conv_net():
    """image[?, 8, 8, 3] to digits[?, 10] and odd[?, 1], by a Flatten."""
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(16, 3, padding="same")(image)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Flatten()(x)
    outputs = [layers.Dense(10, name="digits")(x), layers.Dense(1, "sigmoid", name="odd")(x)]
    return _shaken(keras.Model(image, outputs))


def two_inputs():
    """zeta[?, 4] and alpha[?, 3] to a mapping of s[?, 2] and k[?, 3]."""
    zeta, alpha = keras.Input((4,), name="zeta"), keras.Input((3,), name="alpha")
    joined = layers.Concatenate()([zeta, alpha])
    outputs = {"s": layers.Dense(2)(joined), "k": layers.Dense(3)(alpha)}
    return _shaken(keras.Model({"zeta": zeta, "alpha": alpha}, outputs))


def attention():
    """ids int32[?, 12] to logits[?, 4]."""
    ids = keras.Input((12,), dtype="int32", name="ids")
    x = layers.Embedding(120, 16)(ids)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 8)(x, x))
    x = layers.Dense(16, activation="gelu")(x)
    x = layers.GlobalAveragePooling1D()(x)
    return _shaken(keras.Model(ids, layers.Dense(4, name="logits")(x)))


def lstm():
    """steps[?, 6, 5] to scores[?, 3]."""
    stack = [keras.Input((6, 5), name="steps"), layers.LSTM(8), layers.Dense(3, name="scores")]
    return _shaken(keras.Sequential(stack))


def source(model, folder: Path, file: str = "model.keras", example=None, **more):
    """Save a model and open it as a source."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / file)
    return opened(folder / file, folder / "source", example, **more)


def opened(path: Path, folder: Path, example=None, **more):
    folder.mkdir(parents=True, exist_ok=True)
    return open_source(SourceSpec(None, path, None, None, path.parent, **more), example, folder)


def _shaken(model):
    rng = np.random.default_rng(3)
    for weight in model.weights:
        noise = rng.normal(0, 0.1, weight.shape)
        weight.assign(weight + (np.abs(noise) if "variance" in weight.path else noise))
    return model
