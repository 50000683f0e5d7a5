"""A candidate's model under a name of the user's choice."""

import pytest

from hamerspace.backends import BACKENDS
from hamerspace.errors import RunFolderError
from hamerspace.search.saving import model_file, save_candidate
from hamerspace.tasks.model import ModelArtifact
from tests import onnx_models


@pytest.fixture
def openvino_candidate(onnx_task, tmp_path):
    folder = tmp_path / "built"
    folder.mkdir()
    backend = BACKENDS.load("openvino").create()
    return backend.build(ModelArtifact.load(onnx_task), {}, None, folder)


def test_a_file_that_goes_by_the_model_s_name_is_renamed_with_it(openvino_candidate, tmp_path):
    import openvino

    assert model_file(openvino_candidate, ".onnx") is None
    files = save_candidate(openvino_candidate, tmp_path / "new" / "small.xml")
    assert [path.name for path in files] == ["small.xml", "small.bin"]
    openvino.Core().read_model(files[0])
    assert save_candidate(openvino_candidate, files[0]) == files  # replaces what it wrote


def test_external_data_keep_the_name_that_the_model_holds(tmp_path):
    import onnxruntime

    source = onnx_models.conv_net(tmp_path / "source", external_data=True)
    folder = tmp_path / "built"
    folder.mkdir()
    built = BACKENDS.load("onnxruntime").create().build(source, {}, None, folder)
    saved = tmp_path / "saved"
    files = save_candidate(built, saved / "small.onnx")
    assert len(files) == 2
    onnxruntime.InferenceSession(files[0])
    files[1].write_text("somebody else's")
    with pytest.raises(RunFolderError, match="is another file"):
        save_candidate(built, saved / "other.onnx")


def test_a_place_that_cannot_be_written_is_told(openvino_candidate, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFolderError, match="cannot write"):
        save_candidate(openvino_candidate, tmp_path / "file" / "model.xml")
