"""TFLite files as source models."""

import pytest
import tensorflow as tf

from hamerspace.errors import SourceError
from hamerspace.tasks.sources import SourceSpec
from tests import keras_models as km


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The same model as float32 and with int8 weights."""
    folder, model = tmp_path_factory.mktemp("tflite"), km.conv_net()
    for name in ("float", "int8"):
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT] if name == "int8" else []
        (folder / f"{name}.tflite").write_bytes(converter.convert())
    return folder


class TestTfliteSource(km.ConvNetConformance):
    name = "tflite"

    @pytest.fixture(scope="class")
    def given(self, conv_net, tmp_path_factory):
        path = tmp_path_factory.mktemp("given") / "net.tflite"
        path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(conv_net).convert())
        return SourceSpec(None, path, None, None, path.parent), km.IMAGES


def test_what_inspection_finds(files, tmp_path):
    _, info = km.opened(files / "float.tflite", tmp_path / "a")
    assert [str(t) for t in info.inputs] == ["image: float32[?, 8, 8, 3]"]
    assert [t.shape for t in info.outputs] == [(None, 10), (None, 1)]
    assert info.op_families == ("conv", "linear")
    assert "float32" in info.weight_dtypes
    assert not info.details["quantized"]


def test_integer_weights_are_recognised(files, tmp_path):
    _, info = km.opened(files / "int8.tflite", tmp_path / "a")
    assert info.details["quantized"]
    assert "int8" in info.weight_dtypes


def test_damaged_files_are_refused(files, tmp_path):
    content = (files / "float.tflite").read_bytes()
    for share in (0.2, 0.7):
        path = tmp_path / "cut.tflite"
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(SourceError, match=r"cut\.tflite cannot be loaded by LiteRT"):
            km.opened(path, tmp_path / f"source{share}")
