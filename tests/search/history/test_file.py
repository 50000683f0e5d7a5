"""What is wrong within the file is told once, and nothing of anybody's is lost."""

import json
import subprocess
import sys

import pytest

from hamerspace.errors import ConfigError
from hamerspace.search.history.file import MOST_STUDIES, HistoryFile, default_history_file
from hamerspace.study import Study
from tests.search.history.conftest import entry, tried

BEGUN = '{"version": 1, "studies": ['
DAMAGED = {
    "cut": BEGUN,
    "a wrong shape": BEGUN + "3]}",
    "a wrong value": BEGUN + '{"name": 3}]}',
    "not text": BEGUN.encode() + b"\xff\xfe\x00",
}
STRANGERS = {
    "text": "my notes",
    "another document": '{"version": 1, "people": []}',
    "no version": '{"studies": [{}]}',
    "a list": "[]",
    "cut too early": "{",
    "empty": "",
    "not text": b"\xff\xfe\x00",
}


def test_what_is_kept_is_read_again(path):
    kept = entry(tried(), tried("int8", drop=-0.5))
    HistoryFile(path).add(kept)
    assert HistoryFile(path).read() == (kept,)
    assert [p.name for p in path.parent.iterdir() if not p.name.startswith(".")] == [path.name]


def test_there_is_none_at_first_and_looking_makes_none(path):
    assert HistoryFile(path).read() == ()
    assert not path.parent.exists()


def test_the_same_study_replaces_its_entry_and_others_stay(path):
    history = HistoryFile(path)
    for kept in (entry(name="one"), entry(name="two"), entry(tried(drop=0.9), name="one")):
        history.add(kept)
    assert [e.name for e in history.read()] == ["two", "one"]
    assert history.read()[1].recipes[0].drop_points == 0.9


def test_the_oldest_go_first(path):
    history = HistoryFile(path)
    history.add(entry(name="first"))
    document = json.loads(path.read_text())
    (one,) = document["studies"]
    document["studies"] = [{**one, "identity": str(n)} for n in range(MOST_STUDIES)]
    path.write_text(json.dumps(document))
    history.add(entry(name="last"))
    found = history.read()
    assert len(found) == MOST_STUDIES
    assert found[0].identity == "1"
    assert found[-1].name == "last"


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_set_aside_with_one_warning(path, text, caplog):
    path.parent.mkdir()
    content = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(content)
    history = HistoryFile(path)
    assert history.read() == ()
    history.add(entry())
    assert len(caplog.records) == 1
    assert f"{path}: the history of earlier studies cannot be used" in caplog.text
    assert "set aside as history.json.damaged-1" in caplog.text
    assert path.with_name("history.json.damaged-1").read_bytes() == content
    assert HistoryFile(path).read() == (entry(),)


def test_a_file_of_a_newer_version_is_set_aside(path, caplog):
    history = HistoryFile(path)
    history.add(entry())
    newer = path.read_text().replace('"version": 1', '"version": 2')
    for number in (1, 2):
        path.write_text(newer)
        assert history.read() == ()
        assert path.with_name(f"history.json.damaged-{number}").read_text() == newer
    assert "it is of a newer version of Hamerspace" in caplog.text


@pytest.mark.parametrize("text", STRANGERS.values(), ids=STRANGERS)
def test_what_somebody_else_wrote_is_refused_and_left_alone(path, text, caplog):
    path.parent.mkdir()
    content = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(content)
    with pytest.raises(
        ConfigError, match=r"history.json is no history of Hamerspace.*name another"
    ):
        HistoryFile(path).refuse_strangers()
    # It may come there while a search is on.
    history = HistoryFile(path)
    history.add(entry())
    assert history.read() == ()
    assert [p.name for p in path.parent.iterdir() if not p.name.startswith(".")] == [path.name]
    assert path.read_bytes() == content
    assert len(caplog.records) == 1


def test_a_folder_in_its_place_is_refused_and_left_alone(path):
    (path / "precious").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"is no history of Hamerspace"):
        HistoryFile(path).refuse_strangers()
    HistoryFile(path).add(entry())
    assert (path / "precious").is_dir()
    assert len(list(path.parent.glob("history*"))) == 1


def test_a_search_ends_before_anything_is_read_where_the_history_is_no_history(
    write_study, tmp_path, own_history
):
    (own_history / "home").mkdir(parents=True)
    study = Study.from_yaml(write_study(tmp_path), out=tmp_path / "run")
    with pytest.raises(ConfigError, match="HAMERSPACE_HISTORY"):
        study.optimize()
    assert (own_history / "home").is_dir()
    assert not (tmp_path / "run").exists()


def test_a_place_where_nothing_can_be_written_is_told_once(tmp_path, caplog):
    (tmp_path / "file").write_text("x")
    history = HistoryFile(tmp_path / "file" / "history.json")
    assert history.read() == ()
    history.add(entry())
    history.add(entry())
    assert len(caplog.records) == 1
    assert "the search goes on without it" in caplog.text


def test_what_is_no_file_is_left_alone(tmp_path, caplog):
    pipe = tmp_path / "history.json"
    pipe.symlink_to("/dev/null")
    history = HistoryFile(pipe)
    assert history.read() == ()
    history.add(entry())
    assert pipe.is_symlink()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "it is no history" in caplog.text


_ADD = """
import sys
from pathlib import Path
from hamerspace.search.history.file import HistoryFile
from tests.search.history.conftest import entry
for number in range(8):
    HistoryFile(Path(sys.argv[1])).add(entry(name=f"{sys.argv[2]}-{number}"))
"""


def test_searches_that_end_at_the_same_time_lose_nothing(path):
    processes = [
        subprocess.Popen([sys.executable, "-c", _ADD, str(path), name]) for name in ("a", "b")
    ]
    assert [process.wait(120) for process in processes] == [0, 0]
    assert len({e.name for e in HistoryFile(path).read()}) == 16


def test_the_file_is_the_users_choice(monkeypatch, tmp_path):
    monkeypatch.setenv("HAMERSPACE_HISTORY", str(tmp_path / "mine.json"))
    assert default_history_file() == tmp_path / "mine.json"
    monkeypatch.delenv("HAMERSPACE_HISTORY")
    monkeypatch.setenv("HAMERSPACE_DATA", str(tmp_path))
    assert default_history_file() == tmp_path / "history.json"
    monkeypatch.delenv("HAMERSPACE_DATA")
    assert default_history_file().parts[-2:] == ("hamerspace", "history.json")
