import contextlib
import json

import pytest

from hamerspace.errors import RunFolderError
from hamerspace.search.run_folder import RunFolder, open_run

FACTS = json.dumps(
    {
        "source": {"format": "onnx", "parameters": 1},
        "space": {"name": "cpu"},
        "metric": {"name": "accuracy", "direction": "maximize", "drop_unit": "points"},
    }
)
RESULT = json.dumps({"trials": 1, "finished": 1, "confirmed": [], "winner": None})


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    return RunFolder(path)


def test_a_run_is_found_by_its_folder_and_by_its_file(folder):
    folder.write("run.json", {})
    assert open_run(folder.path) == folder
    assert open_run(folder.run_file) == folder


def test_a_folder_of_strangers_is_left_alone(folder):
    (folder.path / "artifacts").mkdir()
    folder.refuse_strangers()
    (folder.path / "thesis.txt").write_text("precious")
    with pytest.raises(RunFolderError, match=r"holds files that are no study \(.*thesis.txt.*\)"):
        folder.refuse_strangers()
    assert (folder.path / "thesis.txt").read_text() == "precious"


def test_a_run_is_set_aside_as_a_whole_as_often_as_need_be(folder):
    for number, text in enumerate(("one", "two"), start=1):
        folder.path.mkdir(exist_ok=True)
        folder.write("run.json", {"study": {}, "text": text})
        aside = folder.set_aside()
        assert aside == folder.path.with_name(f"run.before-{number}")
        assert json.loads(RunFolder(aside).run_file.read_text())["text"] == text
        assert not folder.path.exists()


def test_what_was_given_in_memory_is_there_for_the_next_run_too(folder):
    folder.inputs.mkdir()
    (folder.inputs / "model.onnx").write_text("a model")
    folder.write("run.json", {})
    aside = folder.set_aside()
    assert [path.name for path in folder.path.iterdir()] == ["inputs"]
    for path in (folder.inputs, aside / "inputs"):
        assert (path / "model.onnx").read_text() == "a model"


def test_a_run_that_goes_on_is_not_set_aside(folder):
    folder.write("run.json", {})
    with folder.held(), pytest.raises(RunFolderError, match="another search is running"):
        RunFolder(folder.path).set_aside()
    assert folder.has("run.json")


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
    folder.write("other.json", {"a": 1})
    with pytest.raises(ValueError, match="Unable to serialize"):
        folder.write("other.json", {"a": object()})
    assert folder.read("other.json") == {"a": 1}
    assert folder.read("absent.json") is None


def test_a_damaged_file_is_named(folder):
    folder.run_file.write_text(json.dumps({"version": 1})[:-3])
    with pytest.raises(RunFolderError, match=r"run\.json: damaged"):
        folder.read("run.json")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("run.json", "{}", "'study' is missing"),
        ("run.json", '{"study": {"root": "/", "config": {"name": "x"}}}', "'study.config.task'"),
        ("run.json", '{"identity": 3}', "'identity' should be"),
        ("facts.json", '{"metric": "accuracy"}', "'metric' should be"),
        ("facts.json", '{"notes": [1]}', "'metric' is missing"),
        ("facts.json", '{"warnings": 5, ' + FACTS[1:], "'warnings' should be"),
        ("facts.json", '{"smallest_drop": "x", ' + FACTS[1:], "'smallest_drop' should"),
        ("result.json", '{"nearest_to_source": "1", ' + RESULT[1:], "'nearest_to_source'"),
        ("result.json", "[]", "it should be"),
        ("result.json", '{"confirmed": [{"number": "3"}]}', "'trials' is missing"),
        ("source.json", '{"measurement": {"ended_at": "lunch"}}', "'measurement.ended_at'"),
        ("source.json", '{"measurement": {"ended_at": "size", "size_mb": "1"}}', "size_mb'"),
        ("sensitivity.json", '{"k": {"parameters": {"backend": "x"}}}', "'k.layers' is missing"),
        ("sensitivity.json", '{"k": {"parameters": {}, "layers": []}}', "names no 'backend'"),
        ("sensitivity.json", "[" * 100_000, "recursion limit"),
        ("other.json", b"\xff\xfe{}", "Invalid JSON"),
        ("other.json", '{"a": "\\ud800"}', "Invalid JSON"),
    ],
)
def test_what_is_damaged_is_named_with_its_key(folder, name, text, said):
    (folder.path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(RunFolderError) as told:
        folder.read(name)
    assert str(told.value).startswith(f"{folder.path / name}: damaged")
    assert said in str(told.value)


def test_what_never_ends_or_cannot_be_read_is_told(folder):
    (folder.path / "facts.json").symlink_to("/dev/zero")
    with pytest.raises(RunFolderError, match=r"facts\.json: .*no regular file"):
        folder.read("facts.json")
    (folder.path / "result.json").mkdir()
    with pytest.raises(RunFolderError, match=r"result\.json: .*no regular file"):
        folder.read("result.json")


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


def test_what_others_put_there_meanwhile_is_not_taken_back(folder):
    (folder.path / ".lock").write_text("precious")
    with contextlib.suppress(KeyboardInterrupt), folder.held(worth_keeping=lambda: False):
        folder.write("run.json", {"study": {}})
        folder.write("source.json", {})
        folder.log("build.log").write_text("x")
        (folder.path / "thesis.txt").write_text("precious")
        raise KeyboardInterrupt
    assert sorted(path.name for path in folder.path.iterdir()) == [".lock", "thesis.txt"]
    assert {path.read_text() for path in folder.path.iterdir()} == {"precious"}
