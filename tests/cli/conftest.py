"""Ways to run the real command line: in this process where that can be, else as a program."""

import os
import subprocess

import pytest

from tests.command_line import PROGRAM, Ended


@pytest.fixture
def call(call, tmp_path, monkeypatch):
    """``call(*arguments)`` runs the command line in this process, in an empty folder."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return call


@pytest.fixture
def refused(call, tmp_path):
    """``refused(*arguments)`` asserts one clear message and no traces; returns the message."""

    def run(*arguments):
        ended = call(*arguments)
        assert ended.code == 2
        assert ended.err.count("error: ") == 1
        assert "Traceback" not in ended.err
        assert "Warning" not in ended.err
        assert ended.out == ""
        assert list((tmp_path / "here").iterdir()) == []
        return ended.err[ended.err.index("error: ") :].strip()

    return run


@pytest.fixture
def start(tmp_path):
    """``start(*arguments)`` starts the program in a session of its own, its errors in a file."""
    started = []

    def run(*arguments, **environment):
        errors = (tmp_path / f"err{len(started)}").open("w+")
        process = subprocess.Popen(
            [*PROGRAM, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=tmp_path,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        started.append((process, errors))
        return process, errors.name

    yield run
    for process, errors in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()
        errors.close()


@pytest.fixture(scope="session")
def finished_run(write_study, tmp_path_factory):
    """The folder of a search of three trials that found a winner, and what the program said."""
    folder = tmp_path_factory.mktemp("finished")
    study = write_study(
        folder,
        constraints={"max_accuracy_drop": 20.0},
        objectives=["quality", "size"],  # whatever the machine does, int8 is better
        budget={"trials": 3, "timeout_s": 120.0},
    )
    ended = subprocess.run(
        [*PROGRAM, "search", str(study), "--out", str(folder / "run"), "--seed", "1"],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return folder / "run", Ended(ended.returncode, ended.stdout, ended.stderr)
