"""A run that is only read: what shows it shares what it finds there."""

import shutil
from pathlib import Path

import pytest

from hamerspace.errors import RunFolderError
from hamerspace.search.run import Run

KEPT = Path(__file__).parents[1] / "data" / "earlier_run"


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(KEPT, tmp_path / "run")


def test_a_run_that_is_none_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match="holds no run"):
        Run.load(tmp_path)


def test_one_that_has_ended_tells_all_of_it(folder):
    run = Run.load(folder)
    assert list(run.records()) == [0, 1, 2, 3]
    assert list(run.front()) == [0, 2, 3]
    assert run.best.number == 3
    assert run.nearest_to_source is None
    assert run.best in run.confirmed
    assert run.goal.source["size"] == run.source.size_mb
    assert run.facts["metric"]["direction"] == run.goal.directions[0]
    assert len(run.optuna_study.trials) == 4


def test_one_that_has_just_begun_tells_what_there_is_and_gets_no_storage(folder):
    for name in ("study.db", "facts.json", "source.json", "result.json"):
        (folder / name).unlink()
    run = Run.load(folder)
    run.refresh()
    assert run.records() == run.front() == run.facts == run.result == {}
    assert run.source is run.best is None
    assert not (folder / "study.db").exists()
