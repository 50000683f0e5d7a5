import os
import time

import pytest

from hamerspace.config.loading import load_study
from hamerspace.tasks import fingerprint
from hamerspace.tasks.fingerprint import part_digests, study_fingerprint

STUDY = """\
name: mine
task:
  source:
    builder: task:build
budget:
  trials: 5
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "task.py").write_text("import net\n")
    (tmp_path / "net.py").write_text("WIDTH = 1\n")
    (tmp_path / "weights.bin").write_bytes(b"one")
    (tmp_path / "layers").mkdir()
    (tmp_path / "layers" / "block.py").write_text("DEPTH = 1\n")
    return tmp_path


def digest(folder, file="study.yaml"):
    return study_fingerprint(load_study(folder / file))


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("search.log", "trial 1"),
        ("notes.md", "x"),
        (".hidden", "x"),
        ("study.yaml", STUDY.replace("5", "50")),
        ("runs/old.py", "x"),
        (".venv/a.py", "x"),
    ],
)
def test_what_is_written_during_a_study_is_no_part_of_it(folder, name, text):
    before = digest(folder)
    write(folder, name, text)
    assert digest(folder) == before


def test_times_are_no_part_of_it(folder):
    before = digest(folder)
    os.utime(folder / "weights.bin", (1, 1))
    os.utime(folder / "task.py", (1, 1))
    assert digest(folder) == before


@pytest.mark.parametrize("name", ["task.py", "net.py", "layers/block.py", "weights.bin", "new.py"])
def test_code_and_data_beside_the_users_function_are_part_of_it(folder, name):
    before = digest(folder)
    write(folder, name, "changed")
    assert digest(folder) != before


def test_big_data_count_with_their_time(folder, monkeypatch):
    monkeypatch.setattr(fingerprint, "BIG_BYTES", 2)
    before = digest(folder)
    os.utime(folder / "weights.bin", (1, 1))
    assert digest(folder) != before


def test_a_file_is_read_once_while_it_stays_as_it_is(folder, monkeypatch):
    monkeypatch.setattr(fingerprint, "_SETTLED_NS", -(10**18))
    read, content = [], fingerprint.hashlib.file_digest
    monkeypatch.setattr(
        fingerprint.hashlib,
        "file_digest",
        lambda stream, name: read.append(stream.name) or content(stream, name),
    )
    first = digest(folder)
    times = len(read)
    assert digest(folder) == first
    assert len(read) == times > 0
    old = (folder / "weights.bin").stat().st_mtime_ns
    time.sleep(0.02)
    write(folder, "weights.bin", "two")
    os.utime(folder / "weights.bin", ns=(old, old))
    assert digest(folder) != first


def test_external_data_count_with_their_content(folder):
    for name in ("model.onnx", "model.onnx.data"):
        (folder / name).write_bytes(b"one")
    (folder / "own.yaml").write_text("name: mine\ntask:\n  source:\n    path: model.onnx\n")
    before, times = digest(folder, "own.yaml"), (folder / "model.onnx.data").stat()
    (folder / "model.onnx.data").write_bytes(b"two")
    os.utime(folder / "model.onnx.data", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert digest(folder, "own.yaml") != before


def test_the_users_metric_is_part_of_it(folder):
    (folder / "model.onnx").write_bytes(b"model")
    (folder / "own.yaml").write_text(
        "name: mine\ntask:\n  source:\n    path: model.onnx\n"
        "  quality:\n    metric: judge:score\n    direction: maximize\n"
    )
    (folder / "judge.py").write_text("a")
    before = digest(folder, "own.yaml")
    (folder / "judge.py").write_text("b")
    assert digest(folder, "own.yaml") != before


def test_each_file_behind_a_task_is_told_apart(folder):
    before = part_digests(load_study(folder / "study.yaml"))
    assert set(before) == {"task.py", "net.py", "weights.bin", "layers/block.py"}
    write(folder, "net.py", "WIDTH = 2\n")
    write(folder, "notes.md", "x")
    after = part_digests(load_study(folder / "study.yaml"))
    assert {name for name in after if after[name] != before[name]} == {"net.py"}


def test_a_file_that_the_study_names_is_told_by_its_key(folder):
    (folder / "data.npz").write_bytes(b"rows")
    (folder / "named.yaml").write_text(
        STUDY.replace("budget:", "  data: {path: data.npz}\nbudget:")
    )
    parts = part_digests(load_study(folder / "named.yaml"))
    assert "task.data.path" in parts
    assert "data.npz" not in parts
