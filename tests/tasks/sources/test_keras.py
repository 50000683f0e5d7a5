"""Keras files as source models."""

import keras
import numpy as np
import pytest
from keras import layers

from hamerspace.errors import DataError, SourceError
from hamerspace.tasks.model import TensorSpec
from hamerspace.tasks.tensorflow_module import load_function
from tests import keras_models as km


@pytest.mark.parametrize("file", ["model.keras", "model.h5"])
def test_what_inspection_finds(tmp_path, file):
    model = km.conv_net()
    artifact, info = km.source(model, tmp_path, file)
    assert info.format == artifact.format == "keras"
    assert info.inputs == (TensorSpec("image", "float32", (None, 8, 8, 3)),)
    assert [str(t) for t in info.outputs] == ["digits: float32[?, 10]", "odd: float32[?, 1]"]
    assert info.parameter_count == model.count_params()
    assert info.size_bytes == 4 * model.count_params()
    assert info.op_families == ("conv", "linear", "norm")
    assert info.dynamic_batch
    assert {"Conv2D", "Flatten"} <= set(info.details["layers"])
    assert "GlorotUniform" not in info.details["layers"]
    image = np.random.default_rng(0).normal(size=(5, 8, 8, 3)).astype(np.float32)
    wanted = [np.asarray(t) for t in model(image, training=False)]
    found = load_function(artifact).run({"image": image})
    for name, value in zip(("digits", "odd"), wanted, strict=True):
        np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-5)


def test_a_mapping_of_outputs_is_named_by_its_keys(tmp_path):
    model = km.two_inputs()
    artifact, info = km.source(model, tmp_path)
    assert [t.name for t in info.inputs] == ["alpha", "zeta"]
    batch = {t.name: t.sample(2, np.random.default_rng(1)) for t in info.inputs}
    wanted = model(batch)
    found = load_function(artifact).run(batch)
    assert set(found) == {"k", "s"}
    for name, value in found.items():
        np.testing.assert_allclose(value, np.asarray(wanted[name]), rtol=1e-5, atol=1e-6)


def test_recurrence_and_attention_are_seen(tmp_path):
    assert km.source(km.lstm(), tmp_path)[1].op_families == ("linear", "rnn")
    example = {"ids": np.arange(24, dtype=np.int32).reshape(2, 12)}
    _, info = km.source(km.attention(), tmp_path / "b", example=example)
    assert info.op_families == ("attention", "embedding", "linear", "norm")


def test_a_lambda_layer_is_refused_unless_trusted(tmp_path):
    model = keras.Sequential([keras.Input((4,)), layers.Lambda(lambda x: x * 2), layers.Dense(2)])
    with pytest.raises(SourceError, match=r"Lambda layer.*--trust-pickle"):
        km.source(model, tmp_path)
    _, info = km.source(model, tmp_path / "trusted", trust_pickle=True)
    assert info.parameter_count == 10


def test_damaged_files_are_refused_in_one_line(tmp_path):
    model = km.two_inputs()
    for file in ("model.keras", "model.h5"):
        model.save(tmp_path / file)
        content = (tmp_path / file).read_bytes()
        for share in (0.3, 0.9):
            (tmp_path / file).write_bytes(content[: int(len(content) * share)])
            with pytest.raises(SourceError, match=file) as raised:
                km.opened(tmp_path / file, tmp_path / f"source{share}")
            assert "\n" not in str(raised.value)
    model.save_weights(tmp_path / "only.weights.h5")
    with pytest.raises(SourceError, match=r"only\.weights\.h5"):
        km.opened(tmp_path / "only.weights.h5", tmp_path / "source")


def test_data_that_do_not_fit_are_named(tmp_path):
    image = np.zeros((2, 8, 8, 3), np.float32)
    with pytest.raises(DataError, match=r"no array 'image', .* if it is 'pixels', rename"):
        km.source(km.conv_net(), tmp_path, example={"pixels": image})
    with pytest.raises(DataError, match=r"row has shape \[8, 8\], .* takes \[8, 8, 3\]"):
        km.source(km.conv_net(), tmp_path / "b", example={"image": image[..., 0]})


def test_float64_is_refused_as_every_candidate_would_refuse_it(tmp_path):
    image = np.zeros((2, 8, 8, 3))
    with pytest.raises(DataError, match=r"'image': float64, .*array\.astype\('float32'\)"):
        km.source(km.conv_net(), tmp_path, example={"image": image})


def test_weights_that_are_not_finite_are_named(tmp_path):
    model = km.two_inputs()
    model.weights[0].assign(np.full(model.weights[0].shape, np.nan))
    with pytest.raises(SourceError, match=r"not finite: '.*kernel'"):
        km.source(model, tmp_path)
