"""However a search ends, no process stays and the same command goes on."""

import json
import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from hamerspace.cli.search import SOURCE_IS_BEST

TRIALS = 2
SPACE = {"backend": ["onnxruntime"], "onnxruntime.quantization": ["none", "static_int8"]}


@pytest.fixture
def searching(start, write_study, tmp_path):
    """A search that has finished its first trial; its process and the command's arguments."""
    study = write_study(tmp_path / "study", SPACE, budget={"trials": TRIALS})
    arguments = ("search", study, "--out", "run", "--json")

    def begin():
        process, errors = start(*arguments)
        deadline = time.monotonic() + 60
        while "\ntrial 0" not in Path(errors).read_text():
            assert process.poll() is None, Path(errors).read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return process, errors

    begin.arguments = arguments
    return begin


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGHUP, 129),
        (signal.SIGINT, 130),
        (signal.SIGTERM, 143),
        (signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_no_process_stays(searching, number, code):
    process, errors = searching()
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    os.kill(process.pid, number)
    assert process.wait(30) == code
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    said = Path(errors).read_text()
    assert "Traceback" not in said
    if number != signal.SIGKILL:
        assert "the same command goes on" in said


def test_after_a_kill_the_same_command_goes_on(searching, start, tmp_path):
    process, _ = searching()
    time.sleep(1.0)  # a trial is written while the next begins
    process.kill()
    process.wait(30)
    process, _ = start(*searching.arguments)
    out, _ = process.communicate(timeout=120)
    assert process.returncode in (0, SOURCE_IS_BEST)
    trials = json.loads(out)["trials"]
    assert len(trials) == TRIALS
    assert "\ntrial 0 " not in (tmp_path / "err1").read_text()


def test_a_search_interrupted_before_a_trial_leaves_nothing(start, write_study, tmp_path):
    study = write_study(tmp_path / "study")
    process, errors = start("search", study, "--out", "out/run")
    deadline = time.monotonic() + 60
    while "reading the model" not in Path(errors).read_text():
        assert process.poll() is None, Path(errors).read_text()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(30) == 130
    assert "interrupted before a trial was finished" in Path(errors).read_text()
    assert not (tmp_path / "out").exists()
