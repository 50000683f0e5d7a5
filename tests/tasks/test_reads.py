"""What a study's code reads is behind it, wherever it lies; what nothing reads is not."""

import os
import pkgutil
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from hamerspace import Study
from hamerspace.errors import RunFolderError
from hamerspace.tasks import fingerprint
from hamerspace.tasks.reads import digests, digests_of, noted_reads

CODE = """
from pathlib import Path
import numpy as np
import yaml

HERE = Path(__file__).parent

def load():
    assert list(HERE.glob("*.yaml"))
    rows = yaml.safe_load((HERE / "own.yaml").read_text())["rows"]
    names = (HERE / "names.txt").read_text().split()
    parts = sorted((HERE / "parts").glob("*.npz"))
    arrays = [np.load(part) for part in parts]
    return {name: np.concatenate([a[name] for a in arrays])[:rows] for name in names}

def right(outputs, labels):
    weight = float((HERE / "lists" / "weight.txt").read_text())
    return weight * (outputs.argmax(1) == labels).astype(float)
"""


@pytest.fixture(scope="module")
def study(write_study, onnx_task, tmp_path_factory):
    """A searched study whose code reads files that it does not name."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "task.py").write_text(CODE)
    (folder / "own.yaml").write_text("rows: 390")
    (folder / "names.txt").write_text("image labels")
    for name in ("parts", "lists"):
        (folder / name).mkdir()
    (folder / "lists" / "weight.txt").write_text("1.0")
    with np.load(onnx_task / "data.npz") as data:
        for number, rows in enumerate((slice(0, 200), slice(200, 400))):
            np.savez(folder / "parts" / f"{number}.npz", **{n: data[n][rows] for n in data})
    task = {
        "source": {"path": str(onnx_task / "model.onnx")},
        "data": {"load": "task:load"},
        "quality": {"metric": "task:right", "direction": "maximize"},
    }
    space = {"backend": ["onnxruntime"], "onnxruntime.quantization": ["none", "dynamic_int8"]}
    file = write_study(folder, space, task=task)
    Study.from_yaml(file, out=folder / "runs" / "own", trials=1).optimize()
    return file


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("own.yaml", b"rows: 380", "own.yaml: other contents"),
        ("names.txt", b"labels image", "names.txt: other contents"),
        ("parts/0.npz", None, "parts/0.npz: is gone"),
        ("parts/2.npz", b"new", "parts: other contents"),
        ("lists/weight.txt", b"0.5", "lists/weight.txt: other contents"),
    ],
)
def test_what_is_read_may_not_change(study, name, content, told):
    path = study.parent / name
    before = path.read_bytes() if path.exists() else None
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    try:
        with pytest.raises(RunFolderError, match="holds another study") as refused:
            Study.from_yaml(study, out=study.parent / "runs" / "own", trials=2).optimize()
        assert f"  {told}\n" in str(refused.value)
    finally:
        path.unlink(missing_ok=True)
        if before is not None:
            path.write_bytes(before)


def test_what_nothing_reads_is_no_hindrance(study):
    for name in ("new.npz", "new.py", "lists/new.txt", "notes.txt", "exported.tflite"):
        (study.parent / name).write_text("1")
    for path in (study.parent / "names.txt", *(study.parent / "parts").iterdir()):
        os.utime(path, (1, 1))
    found = Study.from_yaml(study, out=study.parent / "runs" / "own", trials=2).optimize()
    assert len(found.records()) == 2


def test_what_the_study_names_is_noted_by_its_key_alone(write_study, onnx_task, tmp_path):
    (tmp_path / "task.py").write_text(CODE)
    (tmp_path / "model.onnx").write_bytes((onnx_task / "model.onnx").read_bytes())
    (tmp_path / "data.npz").write_bytes((onnx_task / "data.npz").read_bytes())
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "weight.txt").write_text("1.0")
    file = write_study(
        tmp_path,
        {"backend": ["onnxruntime"]},
        task={
            "source": {"path": "model.onnx"},
            "data": {"path": "data.npz", "labels": "labels"},
            "quality": {"metric": "task:right", "direction": "maximize"},
        },
    )
    study = Study.from_yaml(file, out=tmp_path / "runs" / "own", trials=1)
    study.optimize()
    reads = study.folder.read("run.json")["reads"]
    assert "lists/weight.txt" in reads
    assert not {"model.onnx", "data.npz"} & reads.keys()


def test_a_folder_of_large_data_is_told_by_sizes_and_times(tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "0.raw").write_bytes(b"one")
    monkeypatch.setattr("hamerspace.tasks.reads.BIG_BYTES", 2)
    monkeypatch.setattr(fingerprint, "_content", lambda path: pytest.fail(f"{path} was read"))
    before = digests_of({"images"}, tmp_path)
    os.utime(tmp_path / "images" / "0.raw", (1, 1))
    assert digests_of({"images"}, tmp_path) != before


def test_a_large_file_that_is_read_is_told_by_size_and_time(tmp_path, monkeypatch):
    (tmp_path / "data.raw").write_bytes(b"one")
    monkeypatch.setattr(fingerprint, "BIG_BYTES", 2)
    before = digests_of({"data.raw"}, tmp_path)
    os.utime(tmp_path / "data.raw", (1, 1))
    assert digests_of({"data.raw"}, tmp_path) != before


def test_noting_never_fails_what_reads(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with noted_reads() as reads:
        assert list(Path().iterdir()) == []
    assert not reads


def test_reading_is_noted_and_writing_or_importing_is_not(tmp_path):
    (tmp_path / "listed").mkdir()
    (tmp_path / "read.txt").write_text("1")
    (tmp_path / ".hidden").write_text("1")
    with noted_reads() as reads:
        (tmp_path / "read.txt").read_text()
        (tmp_path / ".hidden").read_text()
        (tmp_path / "written.txt").write_text("1")
        list((tmp_path / "listed").iterdir())
        metadata.distributions(path=[str(tmp_path)])
        list(pkgutil.iter_modules([str(tmp_path)]))
    found = digests(reads, tmp_path)
    assert set(found) == {"read.txt", "listed"}
    assert digests_of(found, tmp_path) == found
    (tmp_path / "listed" / "new").write_text("1")
    (tmp_path / "read.txt").unlink()
    now = digests_of(found, tmp_path)
    assert now["read.txt"] == ""
    assert now["listed"] != found["listed"]
