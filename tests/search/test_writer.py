import os
import signal
import threading

import optuna
import pytest
from optuna.trial import create_trial

from hamerspace.errors import RunFolderError
from hamerspace.search.writer import Writer


def _trial(value):
    return create_trial(values=[value])


@pytest.fixture
def study(tmp_path):
    return optuna.create_study(storage=f"sqlite:///{tmp_path / 's.db'}", study_name="study")


@pytest.fixture
def go(study, monkeypatch):
    """Nothing is written before this event is set."""
    event, write = threading.Event(), study._storage.create_new_trial

    def slow(*arguments, **named):
        event.wait(10)
        return write(*arguments, **named)

    monkeypatch.setattr(study._storage, "create_new_trial", slow)
    return event


def _values(study):
    return [trial.value for trial in study.get_trials()]


def test_trials_are_numbered_in_the_order_in_which_they_came(study):
    writer = Writer(study, 0)
    assert [writer.add(_trial(value)) for value in (1.0, 2.0, 3.0)] == [0, 1, 2]
    writer.wait()
    assert _values(study) == [1.0, 2.0, 3.0]


def test_numbers_go_on_from_what_is_there(study):
    study.add_trial(_trial(1.0))
    writer = Writer(study, 1)
    assert writer.add(_trial(2.0)) == 1
    writer.wait()
    assert _values(study) == [1.0, 2.0]


def test_whoever_adds_a_trial_does_not_wait_for_it(study, go):
    writer = Writer(study, 0)
    assert writer.add(_trial(1.0)) == 0
    assert _values(study) == []
    go.set()
    writer.wait()
    assert _values(study) == [1.0]


def test_what_the_storage_refuses_is_told_at_the_next_trial(study, monkeypatch):
    def full(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(study._storage, "create_new_trial", full)
    writer = Writer(study, 0)
    writer.add(_trial(1.0))
    with pytest.raises(OSError, match="no space left"):
        writer.add(_trial(2.0))


def test_one_trial_that_was_refused_is_not_taken_for_anothers_doing(study, monkeypatch):
    write = study._storage.create_new_trial

    def full_once(*_, **__):
        monkeypatch.setattr(study._storage, "create_new_trial", write)
        raise OSError("no space left on device")

    monkeypatch.setattr(study._storage, "create_new_trial", full_once)
    writer = Writer(study, 0)
    writer.add(_trial(1.0))
    with pytest.raises(OSError, match="no space left"):
        writer.add(_trial(2.0))
    writer.wait()
    assert _values(study) == [2.0]


def test_a_foreign_trial_in_a_study_of_ones_own_is_refused(study):
    writer = Writer(study, 0)
    study.add_trial(_trial(9.0))
    writer.add(_trial(1.0))
    with pytest.raises(RunFolderError, match="another process has added trials to study 'study'"):
        writer.wait()


def test_an_interrupt_while_a_trial_is_written_loses_nothing(study, go):
    writer = Writer(study, 0)
    writer.add(_trial(1.0))
    interrupt = threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT])
    interrupt.start()
    with pytest.raises(KeyboardInterrupt):
        writer.add(_trial(2.0))
    go.set()
    writer.wait()
    assert _values(study) == [1.0, 2.0]
