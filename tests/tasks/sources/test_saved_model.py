"""SavedModels as source models."""

import numpy as np
import pytest
import tensorflow as tf

from hamerspace.errors import SourceError
from hamerspace.tasks.tensorflow_module import load_function
from tests import keras_models as km


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    model = km.conv_net()
    model.export(folder / "net", verbose=False)
    return model, folder / "net"


def test_what_inspection_finds(exported, tmp_path):
    model, path = exported
    artifact, info = km.opened(path, tmp_path / "source")
    assert info.format == "saved_model"
    assert [str(t) for t in info.inputs] == ["image: float32[?, 8, 8, 3]"]
    assert [t.shape for t in info.outputs] == [(None, 10), (None, 1)]
    assert info.op_families == ("conv", "linear", "norm")
    assert info.parameter_count >= model.count_params()
    image = np.random.default_rng(0).normal(size=(3, 8, 8, 3)).astype(np.float32)
    found = load_function(artifact).run({"image": image})
    wanted = [np.asarray(t) for t in model(image, training=False)]
    for spec, value in zip(info.outputs, wanted, strict=True):
        np.testing.assert_allclose(found[spec.name], value, rtol=1e-5, atol=1e-5)


def test_a_damaged_or_partial_folder_is_refused(exported, tmp_path):
    content = (exported[1] / "saved_model.pb").read_bytes()
    path = tmp_path / "cut"
    path.mkdir()
    (path / "saved_model.pb").write_bytes(content)
    with pytest.raises(SourceError, match="variables"):
        km.opened(path, tmp_path / "a")
    (path / "variables").mkdir()
    (path / "saved_model.pb").write_bytes(content[: len(content) // 2])
    with pytest.raises(SourceError, match="damaged or truncated"):
        km.opened(path, tmp_path / "b")
    (path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(SourceError, match="is empty"):
        km.opened(path, tmp_path / "c")


def test_a_graph_that_writes_files_is_refused(tmp_path):
    class Writer(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
        def __call__(self, x):
            tf.io.write_file(str(tmp_path / "written"), "boo")
            return {"y": x + 1.0}

    module = Writer()
    tf.saved_model.save(module, tmp_path / "net", signatures=module.__call__)
    with pytest.raises(SourceError, match=r"WriteFile.*--trust-pickle"):
        km.opened(tmp_path / "net", tmp_path / "source")
    assert not (tmp_path / "written").exists()
