"""What an earlier version left in the store, as its files lay on the disk."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from hamerspace.backends import BACKENDS
from hamerspace.backends.candidate import Candidate
from hamerspace.build.ranking import read_layers
from hamerspace.build.store import Store, is_key
from hamerspace.tasks.task import Task

KEPT = Path(__file__).parent / "data" / "earlier_store"


@pytest.fixture
def store(tmp_path):
    return Store(shutil.copytree(KEPT, tmp_path / "store"))


@pytest.fixture
def entry(store):
    """``entry(name)`` is the folder of the one entry that holds a file of this name."""

    def entry(name):
        (found,) = store.root.glob(f"*/*/{name}")
        assert is_key(found.parent.name)
        assert store.get(found.parent.name) == found.parent
        return found.parent

    return entry


def test_its_task_is_read(entry):
    task = Task.load(entry("task.json"))
    assert task.splits.rows == {"calibration": 8, "search": 16, "confirm": 16}
    assert [spec.name for spec in (*task.info.inputs, task.judged)] == ["x", "y"]
    assert task.info.parameter_count == 112
    assert all(path.exists() for path in task.files())


def test_its_candidate_answers_as_its_source(entry):
    candidate = Candidate.load(entry("manifest.json"))
    assert candidate.metadata["quantization"] == "dynamic_int8"
    session = BACKENDS.load(candidate.backend).create().load(candidate, 1)
    x = np.load(entry("task.json") / "data" / "search" / "0.npy")
    found = session.run({"x": x})["y"]
    assert found.shape == (16, 3)
    source = Task.load(entry("task.json")).source
    weights = _weights(source.folder / "model.onnx")
    expected = np.maximum(x @ weights["a"], 0) @ weights["b"]
    np.testing.assert_allclose(found, expected, atol=0.05 * np.abs(expected).max())


def test_its_ranking_is_read(entry):
    layers, errors = zip(*read_layers(entry("sensitivity.json")), strict=True)
    assert layers == ("MatMul_y", "MatMul_h")
    assert list(errors) == sorted(errors, reverse=True)


def test_its_entries_are_evicted_as_its_own(store, monkeypatch):
    monkeypatch.setattr("hamerspace.build.store._SPARED_S", -1.0)
    store.max_bytes = 0
    assert store.evict() > 0
    assert not list(store.root.glob("*/*/*.json"))


def _weights(path):
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    return {one.name: numpy_helper.to_array(one) for one in graph.initializer}
