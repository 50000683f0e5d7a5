"""Narrow students of real small Keras models."""

import numpy as np
import pytest

from hamerspace.compress import TechniqueJob, TrainingData
from hamerspace.compress.student import TECHNIQUE
from hamerspace.errors import BuildError
from hamerspace.tasks.model import ModelArtifact, SourceInfo, TensorSpec
from hamerspace.testing.techniques import TechniqueConformance
from tests import keras_models as km

keras = km.keras
layers = keras.layers

PARAMETERS = {
    "student.width": 0.5,
    "student.epochs": 8,
    "distill.temperature": 2.0,
    "distill.weight": 0.7,
}
ROWS = 512


def artifact(model, folder):
    folder.mkdir()
    model.save(folder / "model.keras")
    inputs = tuple(TensorSpec(t.name, "float32", tuple(t.shape)) for t in model.inputs)
    names = getattr(model, "output_names", None) or ["output"]
    pairs = zip(names, model.outputs, strict=True)
    outputs = tuple(TensorSpec(name, "float32", tuple(t.shape)) for name, t in pairs)
    return ModelArtifact(folder, "keras", inputs, outputs, {"model": "model.keras"}).save()


def images(rows=ROWS):
    return np.random.default_rng(0).standard_normal((rows, 6, 6, 1)).astype(np.float32)


def convolutional():
    """Normalised images, a residual branch, and probabilities beside features."""
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 6, 1), name="image")
    scale = layers.Normalization(name="scale", mean=0.5, variance=4.0)
    x = layers.Conv2D(16, 3, padding="same", name="stem")(scale(image))
    y = layers.Conv2D(16, 3, padding="same", name="branch")(layers.BatchNormalization()(x))
    x = layers.Flatten()(layers.ReLU()(layers.Add()([x, y])))
    features = layers.Dense(8, name="features")(x)
    x = layers.Dense(32, activation="relu", name="hidden")(x)
    scores = layers.Dense(4, activation="softmax", name="scores")(x)
    return keras.Model(image, [scores, features])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("student")


@pytest.fixture(scope="module")
def source(folder):
    return artifact(convolutional(), folder / "source")


@pytest.fixture(scope="module")
def labels(source):
    """What the source says, so that labels and teacher agree."""
    return np.asarray(load(source)(images())[0]).argmax(axis=1)


def teach(source, folder, given, **parameters):
    folder.mkdir()
    TECHNIQUE.apply(TechniqueJob(source, source, {**PARAMETERS, **parameters}, given, folder, 0))
    return ModelArtifact.load(folder)


def load(model):
    return keras.saving.load_model(model.file("model"), compile=False)


class TestStudent(km.InProcess, TechniqueConformance):
    technique = TECHNIQUE

    def chosen(self):
        return {**PARAMETERS, "student.epochs": 1}

    @pytest.fixture(scope="class")
    def source(self, tmp_path_factory):
        return artifact(convolutional(), tmp_path_factory.mktemp("source") / "model")

    @pytest.fixture(scope="class")
    def data(self):
        return TrainingData({"image": images(64)}, ("image",), "none", "scores")


@pytest.fixture(scope="module")
def student(source, folder, labels):
    arrays = {"image": images(), "labels": labels}
    given = TrainingData(arrays, ("image",), "cross_entropy", "scores")
    return teach(source, folder / "student", given)


def test_layers_are_narrower(source, student):
    model = load(student)
    assert model.get_layer("stem").filters == model.get_layer("branch").filters == 8
    assert model.get_layer("hidden").units == 16
    assert [tuple(t.shape) for t in model.outputs] == [(None, 4), (None, 8)]
    assert [t.name for t in model.inputs] == ["image"]
    assert student.file("model").stat().st_size < source.file("model").stat().st_size


def test_the_student_learns(student, labels):
    probabilities, _ = load(student)(images())
    assert np.allclose(np.asarray(probabilities).sum(axis=1), 1.0, atol=1e-4)
    assert (np.asarray(probabilities).argmax(axis=1) == labels).mean() > 0.6


def test_statistics_of_the_source_are_kept(student):
    scale = load(student).get_layer("scale")
    assert np.allclose(scale.mean, 0.5)
    assert np.allclose(scale.variance, 4.0)


def test_without_labels_the_source_alone_teaches(tmp_path):
    keras.utils.set_random_seed(0)
    hidden = layers.Dense(16, activation="relu")
    model = keras.Sequential([keras.Input((3,), name="x"), hidden, layers.Dense(4)])
    source = artifact(model, tmp_path / "source")
    x = np.random.default_rng(0).standard_normal((512, 3)).astype(np.float32)
    given = TrainingData({"x": x}, ("x",), "none")
    student = load(teach(source, tmp_path / "student", given, **{"student.epochs": 50}))
    wanted, found = np.asarray(model(x)), np.asarray(student(x))
    assert ((wanted - found) ** 2).mean() < 0.6 * wanted.var()


@pytest.mark.parametrize("shape", [(ROWS,), (ROWS, 1, 1)])
def test_recurrent_and_nested_models_learn_numbers_in_any_shape(tmp_path, shape):
    keras.utils.set_random_seed(0)
    body = keras.Sequential(
        [
            keras.Input((4, 3)),
            layers.Bidirectional(layers.SimpleRNN(8, unroll=True)),
            layers.Dense(6, activation="tanh"),
        ]
    )
    series = keras.Input((4, 3), name="series")
    source = artifact(keras.Model(series, layers.Dense(1)(body(series))), tmp_path / "source")
    x = np.random.default_rng(0).standard_normal((ROWS, 4, 3)).astype(np.float32)
    numbers = x.mean(axis=(1, 2))
    given = TrainingData({"series": x, "labels": numbers.reshape(shape)}, ("series",), "mse")
    chosen = {"distill.weight": 0.0, "student.epochs": 50}
    model = load(teach(source, tmp_path / "student", given, **chosen))
    assert model.count_params() < 0.5 * load(source).count_params()
    error = np.mean((np.asarray(model(x))[:, 0] - numbers) ** 2)
    assert error < 0.8 * numbers.var()


class Custom(layers.Layer):
    def call(self, x):
        return x * 2


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ([layers.Dense(16), layers.Reshape((4, 4)), layers.Flatten()], "Reshape"),
        ([Custom(), layers.Dense(9)], "Custom"),
        ([layers.Flatten()], "no layer but those of the outputs"),
    ],
)
def test_what_cannot_be_narrowed_is_a_build_error(tmp_path, extra, message):
    keras.saving.register_keras_serializable()(Custom)  # others clear what is registered
    model = keras.Sequential([keras.Input((3,), name="x"), *extra, layers.Dense(2)])
    source = artifact(model, tmp_path / "source")
    given = TrainingData({"x": np.ones((8, 3), np.float32)}, ("x",), "none")
    with pytest.raises(BuildError, match=message):
        teach(source, tmp_path / "student", given)


def info(*families):
    spec = TensorSpec("x", "float32", (None, 4))
    return SourceInfo("keras", (spec,), (spec,), 10, 40, families)


@pytest.mark.parametrize(
    ("source_info", "loss", "refused"),
    [
        (info("conv"), "cross_entropy", False),
        (info("rnn"), "none", False),
        (info("norm"), "mse", True),
        (info("conv"), None, True),
    ],
)
def test_it_needs_layers_and_a_train_split(source_info, loss, refused):
    masks = TECHNIQUE.capabilities(source_info, loss)
    assert any(mask.covers(0.5) for mask in masks) == refused
    assert not any(mask.covers(1.0) for mask in masks)


def test_a_stage_has_every_parameter():
    assert TECHNIQUE.stage_parameters({"student.width": 0.5, "student.epochs": 3}) == {
        "student.width": 0.5,
        "student.epochs": 3,
        "distill.temperature": 4.0,
        "distill.weight": 0.7,
    }


def test_the_statistics_of_a_student_are_those_of_its_weights(folder):
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 6, 1), name="image")
    x = layers.Conv2D(16, 3, name="stem")(image)
    x = layers.Dropout(0.5)(layers.BatchNormalization(momentum=1.0, name="norm")(x))
    x = layers.Flatten()(layers.ReLU()(x))
    source = artifact(keras.Model(image, layers.Dense(4, name="scores")(x)), folder / "stale")
    given = TrainingData({"image": images()}, ("image",), "none", "scores")
    student = load(teach(source, folder / "fresh", given))
    stem = keras.Model(student.inputs, student.get_layer("stem").output)
    activations = np.asarray(stem([images()]))
    norm = student.get_layer("norm")
    assert np.allclose(norm.moving_mean, activations.mean((0, 1, 2)), atol=1e-3)
    assert np.allclose(norm.moving_variance, activations.var((0, 1, 2)), rtol=0.05)
    assert norm.momentum == 1.0


def test_without_labels_sigmoids_are_taught_as_probabilities(folder):
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 6, 1), name="image")
    x = layers.Dense(16, activation="relu")(layers.Flatten()(image))
    source = artifact(
        keras.Model(image, layers.Dense(3, "sigmoid", name="scores")(x)), folder / "sigmoid"
    )
    given = TrainingData({"image": images(128)}, ("image",), "none", "scores")
    # Squared differences, which these learnt by, know no temperature.
    students = [
        load(teach(source, folder / f"t{t:g}", given, **{"distill.temperature": t}))
        for t in (1.0, 8.0)
    ]
    first, second = (np.asarray(student(images(8))) for student in students)
    assert not np.allclose(first, second, atol=1e-3)


def test_a_linear_head_between_0_and_1_is_no_sigmoid(folder):
    keras.utils.set_random_seed(0)
    x = keras.Input((6, 6, 1), name="image")
    hidden = layers.Dense(16, activation="tanh")(layers.Flatten()(x))
    numbers = layers.Dense(2, bias_initializer=keras.initializers.Constant(0.5))
    model = keras.Model(x, numbers(hidden))
    weights = numbers.get_weights()
    numbers.set_weights([weights[0] * 0.05, weights[1]])
    source = artifact(model, folder / "numbers")
    assert 0 < np.asarray(model(images(128))).min() < np.asarray(model(images(128))).max() < 1
    students = [
        load(
            teach(
                source,
                folder / f"numbers{t:g}",
                TrainingData({"image": images(128)}, ("image",), "none", "output"),
                **{"distill.temperature": t},
            )
        )
        for t in (1.0, 8.0)
    ]
    # Squared differences know no temperature.
    first, second = (np.asarray(student(images(8))) for student in students)
    assert np.allclose(first, second, atol=1e-4)


def net(ending, classes=3):
    keras.utils.set_random_seed(0)
    x = keras.Input((8,), name="x")
    hidden = layers.Dense(32, activation="relu")(x)
    return keras.Model(x, layers.Dense(classes, activation=ending, name="y")(hidden))


FEATURES = 4 * np.random.default_rng(0).standard_normal((ROWS, 8)).astype(np.float32)
LABELS_ALONE = {"distill.weight": 0.0, "student.epochs": 40}


@pytest.mark.parametrize(("ending", "columns"), [("sigmoid", 1), (None, 3)])
def test_zeros_and_ones_are_learnt_as_probabilities(tmp_path, ending, columns):
    tags = (FEATURES[:, :columns] > 0).astype(np.int64)
    labels = tags[:, 0] if columns == 1 else tags
    given = TrainingData({"x": FEATURES, "labels": labels}, ("x",), "binary_cross_entropy", "y")
    model = artifact(net(ending, columns), tmp_path / "source")
    taught = load(teach(model, tmp_path / "taught", given, **LABELS_ALONE))
    scores, before = (np.asarray(m(FEATURES)) for m in (taught, load(model)))
    right, chance = (((s > (0.5 if ending else 0)) == tags).mean() for s in (scores, before))
    assert right > chance + 0.15


@pytest.mark.parametrize("one_hot", [True, False])
def test_one_hot_labels_and_those_of_no_class_are_learnt(tmp_path, one_hot):
    labels = FEATURES[:, :3].argmax(axis=1)
    given = np.eye(3, dtype=np.float32)[labels] if one_hot else labels.copy()
    if not one_hot:
        given[::7] = 255
    data = TrainingData({"x": FEATURES, "labels": given}, ("x",), "cross_entropy", "y")
    model = artifact(net("softmax"), tmp_path / "source")
    taught = load(teach(model, tmp_path / "taught", data, **LABELS_ALONE))
    assert (np.asarray(taught(FEATURES)).argmax(axis=1) == labels).mean() > 0.6
