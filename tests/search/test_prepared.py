"""What is known of a study before anything is built."""

import tempfile

import psutil
import pytest

from hamerspace.build.store import Store
from hamerspace.config.loading import load_study
from hamerspace.search.plan import plan_search
from hamerspace.search.prepared import Prepared
from tests.servers import KeptWorker


@pytest.fixture
def loaded(write_study, tmp_path):
    return load_study(write_study(tmp_path / "study"))


def test_a_plan_needs_no_folder_but_the_store(loaded, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("no scratch folder")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    before = set(tmp_path.iterdir())
    found = plan_search(loaded, Store(tmp_path / "store"))
    assert found.first
    assert set(tmp_path.iterdir()) - before == {tmp_path / "store"}


def test_nothing_is_left_running(loaded, tmp_path):
    with Prepared(loaded, Store(tmp_path / "store"), ("onnxruntime",)) as prepared:
        assert prepared.space.backends == ("onnxruntime",)
        assert prepared.source.backend == "onnxruntime"
        children = psutil.Process().children()
        assert children
    KeptWorker.end_all()  # of those that were closed
    assert not any(child.is_running() for child in children)
