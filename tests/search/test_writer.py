import subprocess
import sys
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


INTERRUPTED = """\
import os, signal, sys, threading

import optuna
from optuna.trial import create_trial

from hamerspace.search.writer import Writer

signal.signal(signal.SIGINT, signal.default_int_handler)
study = optuna.create_study(storage=f"sqlite:///{sys.argv[1]}", study_name="study")
go, write = threading.Event(), study._storage.create_new_trial


def slow(*arguments, **named):
    go.wait(30)
    return write(*arguments, **named)


study._storage.create_new_trial = slow
writer = Writer(study, 0)
writer.add(create_trial(values=[1.0]))
threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()
try:
    writer.add(create_trial(values=[2.0]))
except KeyboardInterrupt:
    go.set()
    writer.wait()
    print([trial.value for trial in study.get_trials()])
"""


def test_an_interrupt_while_a_trial_is_written_loses_nothing(tmp_path):
    # In a process of its own: where OpenVINO has run, its CPU plug-in leaves a signal stack that is
    # no longer there, and the next signal is the end of the process.
    command = [sys.executable, "-c", INTERRUPTED, str(tmp_path / "s.db")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "[1.0, 2.0]", done.stderr
