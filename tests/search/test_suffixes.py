"""Which model files a study can end in, known before it is searched."""

import numpy as np
import pytest
import yaml

from hamerspace import Study
from hamerspace.backends import BACKENDS
from hamerspace.errors import ConfigError
from hamerspace.search.suffixes import able_backends, backends_for, refuse_suffix


@pytest.mark.parametrize(
    ("suffix", "backends"),
    [(".onnx", ("onnxruntime",)), (".pt", ("pytorch",)), (".pt2", ("pytorch",)),
     (".xml", ("openvino",)), (".tflite", ("litert",)), (".so", ("tvm",)),
     (".keras", tuple(BACKENDS))],
)  # fmt: skip
def test_a_suffix_tells_the_runtimes(suffix, backends):
    assert backends_for(suffix) == backends


def test_an_unknown_suffix_is_refused_with_those_that_there_are():
    with pytest.raises(ConfigError, match=r"--output: .*'\.bin' files here; there are \.onnx, "):
        backends_for(".bin")


def test_backends_that_build_no_such_files_are_refused_with_those_that_do():
    with pytest.raises(ConfigError, match=r"none of openvino builds \.so files; tvm does"):
        refuse_suffix(".so", ("openvino",))


@pytest.fixture
def loaded(write_study, tmp_path):
    """Of a space that lists ONNX Runtime, OpenVINO and TVM, which is not installed."""
    listed = {"backend": ["onnxruntime", "openvino", "tvm"]}
    return Study.from_yaml(write_study(tmp_path, listed)).loaded


@pytest.mark.parametrize(("suffix", "able"), [(".onnx", "onnxruntime"), (".xml", "openvino")])
def test_only_what_builds_such_files_is_searched(loaded, suffix, able):
    assert able_backends(loaded, suffix) == (able,)
    assert able_backends(loaded, suffix, ("openvino", "onnxruntime")) == (able,)


@pytest.mark.parametrize(
    ("suffix", "why"),
    [
        (".tflite", "space 'small' does not list backend 'litert'"),
        (".pt", "space 'small' does not list backend 'pytorch'"),
        (".pt2", "space 'small' does not list backend 'pytorch'"),
        (".so", "hamerspace backends install tvm"),
        (".keras", "there is no conversion from onnx to keras"),
    ],
)
def test_what_cannot_come_of_the_study_is_refused_with_the_reason(loaded, suffix, why):
    with pytest.raises(ConfigError, match=rf"--output: no \{suffix} file can come .*{why}"):
        able_backends(loaded, suffix)


@pytest.fixture(scope="module")
def keras_study(tmp_path_factory):
    """``keras_study(data, parameters)``: of a small Keras model; its data are plain, or split."""
    from tests import keras_models

    keras, folder = keras_models.keras, tmp_path_factory.mktemp("keras")
    layers = [keras.Input((8,), name="x"), keras.layers.Dense(16, "relu"), keras.layers.Dense(3)]
    keras.Sequential(layers).save(folder / "model.keras")
    rng = np.random.default_rng(0)
    rows = {"x": rng.random((60, 8), np.float32), "labels": rng.integers(0, 3, 60)}
    splits = {"train": slice(0, 20), "search": slice(20, 40), "confirm": slice(40, 60)}
    np.savez(folder / "plain.npz", **rows)
    parts = {f"{split}/{n}": a[of] for split, of in splits.items() for n, a in rows.items()}
    np.savez(folder / "split.npz", **parts)

    def make(data, parameters):
        space = folder / "space.yaml"
        space.write_text(yaml.safe_dump({"name": "mine", "parameters": parameters}))
        flags = {"data": str(folder / f"{data}.npz"), "space": str(space)}
        return Study.from_model(folder / "model.keras", **flags).loaded

    return make


def test_a_student_restricts_no_runtimes(keras_study):
    loaded = keras_study("split", {"backend": ["litert", "openvino"], "student.width": [1.0, 0.5]})
    assert able_backends(loaded, ".keras") is None
    assert able_backends(loaded, ".keras", ("litert",)) == ("litert",)


@pytest.mark.parametrize(
    ("data", "width", "precision", "why"),
    [
        ("split", 1.0, "none", "space 'mine' leaves student.width at 1.0"),
        ("plain", [1.0, 0.5], "none", "there is no train split"),
        ("split", [1.0, 0.5], "dynamic_int8", "student.width leaves, or only quantized"),
    ],
)
def test_a_student_that_cannot_come_is_refused(keras_study, data, width, precision, why):
    listed = {"backend": "litert", "litert.quantization": precision, "student.width": width}
    loaded = keras_study(data, listed)
    with pytest.raises(ConfigError, match=rf"no \.keras file can come of this search: .*{why}"):
        able_backends(loaded, ".keras")
