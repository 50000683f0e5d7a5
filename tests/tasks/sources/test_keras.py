"""Keras files as source models."""

import keras
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from keras import layers

from hamerspace.errors import DataError, SourceError
from hamerspace.tasks.conversions import convert
from hamerspace.tasks.model import TensorSpec
from hamerspace.tasks.sources import SourceSpec
from hamerspace.tasks.tensorflow_module import load_function
from hamerspace.tasks.tflite import TfliteModel
from tests import keras_models as km


class TestKerasSource(km.ConvNetConformance):
    name = "keras"

    @pytest.fixture(scope="class", params=["model.keras", "model.h5"])
    def given(self, request, conv_net, tmp_path_factory):
        path = tmp_path_factory.mktemp("given") / request.param
        conv_net.save(path)
        return SourceSpec(None, path, None, None, path.parent), km.IMAGES


@pytest.mark.parametrize("file", ["model.keras", "model.h5"])
def test_what_inspection_finds(tmp_path, file):
    model = km.conv_net()
    _, info = km.source(model, tmp_path, file)
    assert info.inputs == (TensorSpec("image", "float32", (None, 8, 8, 3)),)
    assert [str(t) for t in info.outputs] == ["digits: float32[?, 10]", "odd: float32[?, 1]"]
    assert info.parameter_count == model.count_params()
    assert info.size_bytes == 4 * model.count_params()
    assert info.op_families == ("conv", "linear", "norm")
    assert {"Conv2D", "Flatten"} <= set(info.details["layers"])
    assert "GlorotUniform" not in info.details["layers"]


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


@pytest.mark.parametrize("file", ["model.keras", "model.h5"])
def test_the_state_of_an_optimiser_is_no_part_of_the_model(tmp_path, file):
    model = km.conv_net()
    model.compile("adam", "mse")
    plain = tmp_path / f"plain{file}"
    model.save(plain)
    image = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype(np.float32)
    for _ in range(2):
        model.fit(image, [np.zeros((8, 10)), np.zeros((8, 1))], verbose=0)
    model.save(tmp_path / file)
    artifact, info = km.opened(tmp_path / file, tmp_path / "source")
    again, _ = km.opened(tmp_path / file, tmp_path / "again")
    size = artifact.file("model").stat().st_size
    assert size < 0.75 * (tmp_path / file).stat().st_size
    assert size < 1.05 * plain.stat().st_size
    assert artifact.file("model").read_bytes() == again.file("model").read_bytes()
    assert info.parameter_count == model.count_params()
    found = load_function(artifact).run({"image": image})["digits"]
    np.testing.assert_allclose(found, np.asarray(model(image, training=False)[0]), atol=1e-4)


LAYER = """
import keras

@keras.saving.register_keras_serializable(package="{package}")
class {name}(keras.layers.Layer):
    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1],), initializer="ones", name="w")

    def call(self, x):
        return x * keras.ops.sigmoid(self.w)
"""


def own_layer(folder, name, module, more=""):
    """A model file whose own layer was defined in ``module``, and nothing registered any more."""
    folder.mkdir(parents=True, exist_ok=True)
    code = LAYER.format(name=name, package=f"shop{name}")
    (folder / "parts.py").write_text(code + more)
    names = {"__name__": module}
    exec(code, names)
    inputs = keras.Input((4,), name="x")
    keras.Model(inputs, layers.Dense(2, name="scores")(names[name]()(inputs))).save(
        folder / "model.keras"
    )
    keras.saving.get_custom_objects().clear()
    return folder / "model.keras"


@pytest.mark.parametrize("module", ["parts", "__main__"])
def test_layers_of_the_user_s_own_are_read_beside_a_trusted_file(tmp_path, module):
    name = f"Gate{module.strip('_')}"
    path = own_layer(tmp_path, name, module)
    with pytest.raises(SourceError, match=rf"needs '{name}', .*--trust-pickle"):
        km.opened(path, tmp_path / "refused")
    artifact, info = km.opened(path, tmp_path / "source", trust_pickle=True)
    assert info.parameter_count == 4 + 10
    x = np.ones((2, 4), np.float32)
    keras.saving.get_custom_objects().clear()
    assert load_function(artifact).run({"x": x})["scores"].shape == (2, 2)


@pytest.mark.parametrize("statement", ["print(1 / 0)", "history = print(1 / 0)"])
def test_a_script_that_trains_is_not_run_for_its_layer(tmp_path, statement):
    path = own_layer(tmp_path, "Late", "__main__", f"\nraise_if_run = print\n{statement}\n")
    with pytest.raises(SourceError, match=r"needs 'Late', .*calls nothing when it is imported"):
        km.opened(path, tmp_path / "source", trust_pickle=True)


@pytest.mark.parametrize("policy", ["mixed_float16", "float16", "mixed_bfloat16"])
@pytest.mark.parametrize("target", ["onnx", "tflite"])
def test_half_precision_is_told_and_computed_in_float32_elsewhere(tmp_path, policy, target):
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(8, 3, activation="relu", dtype=policy)(image)
    x = layers.BatchNormalization(dtype=policy)(x)
    inner = keras.Sequential([layers.Flatten(dtype=policy), layers.Dense(16, dtype=policy)])
    model = keras.Model(image, layers.Dense(3, name="scores", dtype=policy)(inner(x)))
    artifact, info = km.source(model, tmp_path)
    assert policy.removeprefix("mixed_") in info.details["notes"][0]
    batch = {"image": np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype(np.float32)}
    (tmp_path / target).mkdir()
    converted = convert(artifact, target, batch, tmp_path / target)
    wanted = load_function(artifact).run(batch)["scores"]
    assert wanted.dtype == np.float32
    if target == "onnx":
        weights = onnx.load(converted.file("model")).graph.initializer
        halves = {onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}
        assert not halves & {t.data_type for t in weights}
        session = ort.InferenceSession(converted.file("model"))
        found = session.run(["scores"], batch)[0]
    else:
        found = TfliteModel(converted.file("model"), converted.inputs, converted.outputs).run(batch)
        found = found["scores"]
    assert np.abs(found - wanted).max() < 0.05 * np.abs(wanted).max()
