import json

import pytest

from hamerspace.config.loading import load_study
from hamerspace.errors import RunFolderError
from hamerspace.search.run_folder import RunFolder, open_run


@pytest.fixture
def loaded(write_study, tmp_path):
    return load_study(write_study(tmp_path / "study"))


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    return RunFolder(path)


def test_the_same_study_comes_back_to_its_folder(folder, loaded):
    for _ in range(2):
        folder.begin(loaded, {"space": "x", "task": "y"}, "sqlite://", "hamerspace search")
    assert open_run(folder.path) == folder
    assert open_run(folder.run_file) == folder


def test_another_study_is_refused_and_what_differs_is_named(folder, loaded):
    folder.begin(loaded, {"space": "x", "constraints": {"a": 1}}, "sqlite://", "")
    with pytest.raises(RunFolderError, match=r"it differs in constraints; .*--out"):
        folder.begin(loaded, {"space": "x", "constraints": {"a": 2}}, "sqlite://", "")


def test_a_folder_of_strangers_is_left_alone(folder, loaded):
    (folder.path / "thesis.txt").write_text("precious")
    with pytest.raises(RunFolderError, match=r"holds files that are no study \(thesis.txt\)"):
        folder.begin(loaded, {}, "sqlite://", "")
    assert [p.name for p in folder.path.iterdir()] == ["thesis.txt"]


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(RunFolderError, match=r"cannot write to .*choose another folder"),
        RunFolder(tmp_path / "file" / "run").held(),
    ):
        pass


def test_one_process_at_a_time(folder):
    with (
        folder.held(),
        pytest.raises(RunFolderError, match="another search is running"),
        RunFolder(folder.path).held(),
    ):
        pass
    with folder.held():
        pass


def test_a_file_is_replaced_whole(folder):
    folder.write("result.json", {"a": 1})
    with pytest.raises(TypeError):
        folder.write("result.json", {"a": object()})
    assert folder.read("result.json") == {"a": 1}
    assert folder.read("absent.json") is None


def test_a_damaged_file_is_named(folder):
    folder.run_file.write_text(json.dumps({"version": 1})[:-3])
    with pytest.raises(RunFolderError, match=r"run\.json: damaged"):
        folder.read("run.json")


def test_deleting_the_run_file_is_not_advised(folder):
    """Without it the folder would be one of strangers."""
    folder.run_file.write_text("{")
    with pytest.raises(RunFolderError, match=r"another folder with --out"):
        folder.read("run.json")


def test_a_folder_without_a_run_is_told(folder, tmp_path):
    with pytest.raises(RunFolderError, match=r"holds no run: there is no run\.json in it; name"):
        open_run(folder.path)
    with pytest.raises(RunFolderError, match="there is no such folder"):
        open_run(tmp_path / "nowhere")
    file = tmp_path / "model.onnx"
    file.write_text("")
    with pytest.raises(RunFolderError, match="it is a file"):
        open_run(file)
