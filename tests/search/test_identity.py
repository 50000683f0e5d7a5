"""A study comes back to its folder; a changed one is refused, with what has changed."""

import numpy as np
import pytest
import yaml

from hamerspace.config.flags import override
from hamerspace.config.loading import load_study
from hamerspace.errors import ChangedStudyError, RunFolderError
from hamerspace.search.identity import begin, make_room, refuse_other_facts
from hamerspace.search.run_folder import RunFolder
from hamerspace.study import Study

TASK = """\
import numpy as np
from torch import nn

def build_model():
    return nn.Linear(4, 2)

def load_data():
    return {"x": np.zeros((8, 4), np.float32), "labels": np.zeros(8, np.int64)}
"""


@pytest.fixture
def study(write_study, tmp_path):
    return write_study(tmp_path / "study")


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    return RunFolder(path)


def _begin(folder, loaded, backends=None, storage=None):
    begin(folder, loaded, backends, storage, "hamerspace search")


def _changes(folder, loaded, backends=None):
    with pytest.raises(ChangedStudyError, match="holds another study") as refused:
        _begin(folder, loaded, backends)
    return [line.strip() for line in str(refused.value).splitlines()[1:-1]]


def test_the_same_study_comes_back_to_its_folder(folder, study):
    for _ in range(2):
        _begin(folder, load_study(study))
    assert folder.read("run.json")["command"] == "hamerspace search"


def test_budget_and_sampler_may_change(folder, study):
    _begin(folder, load_study(study))
    _begin(folder, override(load_study(study), trials=99, sampler="gp", history=False))


@pytest.mark.parametrize(
    ("flags", "change"),
    [
        ({"max_size_mb": 0.5}, "constraints.max_size_mb: not set -> 0.5"),
        ({"objectives": ["size"]}, "objectives: quality, latency, size -> size"),
        ({"threads": 2}, "target.threads: 1 -> 2"),
        ({"batch_size": 4}, "task.batch_size: 1 -> 4"),
        ({"metric": "f1_macro"}, "task.quality.metric: not set -> f1_macro"),
        ({"goal": "quantize"}, "goal: auto -> quantize"),
        ({"space": "quick"}, "space: space.yaml -> quick"),
        ({"seed": 1}, "search.seed: 0 -> 1"),
    ],
)
def test_a_value_that_changed_is_told(folder, study, flags, change):
    loaded = load_study(study)
    _begin(folder, loaded)
    assert _changes(folder, override(loaded, **flags)) == [change]


def test_backends_that_changed_are_told(folder, study):
    loaded = load_study(study)
    _begin(folder, loaded)
    assert _changes(folder, loaded, ("openvino",)) == ["backends: all -> openvino"]


def test_trials_that_lie_elsewhere_are_another_study(folder, study):
    loaded = load_study(study)
    _begin(folder, loaded, storage="mysql://me:secret@db/x")
    assert _changes(folder, loaded) == ["storage: mysql://me:***@db/x -> in the folder"]


def test_a_password_may_change(folder, study):
    loaded = load_study(study)
    for password in ("old", "new"):
        _begin(folder, loaded, storage=f"mysql://me:{password}@db/x")
    assert folder.read("run.json")["storage"] == "mysql://me:new@db/x"


def test_the_command_is_kept_without_a_password(folder, study):
    url = "mysql://me:secret@db/x"
    begin(folder, load_study(study), None, url, f"hamerspace search --storage {url}")
    assert folder.read("run.json")["command"] == "hamerspace search --storage mysql://me:***@db/x"


def test_choices_of_the_space_file_that_changed_are_told(folder, study):
    _begin(folder, load_study(study))
    file = study.parent / "space.yaml"
    space = yaml.safe_load(file.read_text())
    space["parameters"]["openvino.quantization"] = ["none"]
    space["parameters"]["openvino.precision"] = {
        "choices": ["f32", "bf16"],
        "when": {"backend": "openvino"},
    }
    file.write_text(yaml.safe_dump(space))
    assert _changes(folder, load_study(study)) == [
        "openvino.precision: not there -> f32, bf16 where backend is openvino",
        "openvino.quantization: none, weights_int8 -> none",
    ]


def test_data_that_changed_are_told(folder, write_study, onnx_task, tmp_path):
    data = tmp_path / "data.npz"
    np.savez(data, x=np.zeros(3))
    task = {"source": {"path": str(onnx_task / "model.onnx")}, "data": {"path": str(data)}}
    loaded = load_study(write_study(tmp_path / "study", task=task))
    _begin(folder, loaded)
    np.savez(data, x=np.ones(3))
    assert _changes(folder, loaded) == [f"task.data.path ({data}): other contents"]


def test_code_that_changed_is_told(folder, write_study, tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "task.py").write_text(TASK)
    task = {"source": {"builder": "task:build_model"}, "data": {"load": "task:load_data"}}
    loaded = load_study(write_study(tmp_path / "study", task=task))
    _begin(folder, loaded)
    (tmp_path / "study" / "task.py").write_text(TASK + "# another\n")
    assert _changes(folder, loaded) == ["task.py: other contents"]


def test_code_that_is_new_is_no_change(folder, write_study, tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "task.py").write_text(TASK)
    task = {"source": {"builder": "task:build_model"}, "data": {"load": "task:load_data"}}
    loaded = load_study(write_study(tmp_path / "study", task=task))
    _begin(folder, loaded)
    (tmp_path / "study" / "helper.py").write_text("")
    _begin(folder, loaded)


def test_other_choices_for_the_same_space_are_told(folder):
    before, now = {"choices": {"backend": "a, b"}}, {"choices": {"backend": "a"}, "content": ""}
    refuse_other_facts(None, now, folder)
    refuse_other_facts(now, now, folder)
    with pytest.raises(ChangedStudyError, match=r"a runtime was installed.*\n  backend: a, b -> a"):
        refuse_other_facts(before, now, folder)


def test_a_run_in_a_shared_storage_is_not_set_aside(folder, study):
    storage = "mysql://me:secret@db/x"
    loaded = load_study(study)
    _begin(folder, loaded, storage=storage)
    changed = ChangedStudyError("it differs:\n  here\nadvice")
    with pytest.raises(RunFolderError, match=r"here\nit cannot be set aside.*another name") as no:
        make_room(folder, loaded.config.name, storage, changed)
    assert "secret" not in str(no.value)
    assert "advice" not in str(no.value)
    assert folder.has("run.json")


@pytest.mark.parametrize(("name", "storage"), [("tiny", None), ("other", "sqlite:///s.db")])
def test_it_is_under_another_name_or_in_another_storage(folder, study, name, storage, caplog):
    _begin(folder, load_study(study), storage="sqlite:///s.db")
    make_room(folder, name, storage, ChangedStudyError("changed"))
    assert f"the earlier run was set aside: {folder.path}.before-1" in caplog.text
    assert not folder.path.exists()


@pytest.mark.parametrize("text", ['{"scripts": {"start": "node"}}', "[]", "not JSON"])
def test_a_folder_whose_run_file_is_not_ours_is_never_set_aside(folder, study, text):
    folder.run_file.write_text(text)
    for force in (False, True):
        with pytest.raises(RunFolderError, match=r"run.json: damaged.*with --out"):
            Study(load_study(study), folder.path).optimize(force=force)
    assert folder.run_file.read_text() == text
    assert [path.name for path in folder.path.parent.glob("run*")] == ["run"]
    with pytest.raises(RunFolderError, match=r"run.json: damaged"):
        make_room(folder, "tiny", None, ChangedStudyError("changed"))
