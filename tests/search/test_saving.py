"""A candidate's model under a name of the user's choice."""

import pytest

from hamerspace.backends import BACKENDS
from hamerspace.backends.base import BuildJob
from hamerspace.config.loading import load_study
from hamerspace.errors import RunFolderError
from hamerspace.search.saving import refuse_sources, save_candidate
from hamerspace.tasks.model import ModelArtifact
from tests import onnx_models


@pytest.fixture
def openvino_candidate(onnx_task, tmp_path):
    folder = tmp_path / "built"
    folder.mkdir()
    backend = BACKENDS.load("openvino").create()
    return backend.build(BuildJob(ModelArtifact.load(onnx_task), {}, None, folder))


def test_a_file_that_goes_by_the_model_s_name_is_renamed_with_it(openvino_candidate, tmp_path):
    import openvino

    assert save_candidate(openvino_candidate, tmp_path / "small.onnx") == ()
    files = save_candidate(openvino_candidate, tmp_path / "new" / "small.xml")
    assert [path.name for path in files] == ["small.xml", "small.bin"]
    openvino.Core().read_model(files[0])
    assert save_candidate(openvino_candidate, files[0]) == files  # replaces what it wrote


def test_external_data_keep_the_name_that_the_model_holds(tmp_path):
    import onnxruntime

    source = onnx_models.conv_net(tmp_path / "source", external_data=True)
    folder = tmp_path / "built"
    folder.mkdir()
    built = BACKENDS.load("onnxruntime").create().build(BuildJob(source, {}, None, folder))
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


def test_a_weight_file_of_somebody_else_stays(openvino_candidate, tmp_path):
    other = tmp_path / "model.bin"
    other.write_text("precious")
    with pytest.raises(RunFolderError, match="is another file"):
        save_candidate(openvino_candidate, tmp_path / "model.xml")
    assert other.read_text() == "precious"
    assert not (tmp_path / "model.xml").exists()


def test_the_files_that_a_study_reads_are_never_written_over(write_study, tmp_path):
    (tmp_path / "model.onnx").write_text("precious")
    link = tmp_path / "link.onnx"
    link.symlink_to(tmp_path / "model.onnx")
    source = {"source": {"path": "../model.onnx"}}
    loaded = load_study(write_study(tmp_path / "study", task=source))
    for path in (tmp_path / "model.onnx", link):
        with pytest.raises(RunFolderError, match="what the study reads"):
            refuse_sources(path, loaded)
    refuse_sources(tmp_path / "new.onnx", loaded)
