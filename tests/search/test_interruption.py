"""A search that is killed at any moment goes on where it was when the command is given again."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from hamerspace import Study
from hamerspace.cli.search import SOURCE_IS_BEST

TRIALS = 3


def _command(file, out):
    arguments = ["search", str(file), "--trials", str(TRIALS), "--out", str(out)]
    return [sys.executable, "-c", "from hamerspace.cli import main; main()", *arguments]


@pytest.mark.slow
def test_kill_at_random_moments_loses_no_finished_trial(write_study, tmp_path):
    file = write_study(tmp_path / "study", constraints={"max_size_mb": 1.0})
    out, rng, finished = tmp_path / "run", random.Random(0), 0
    for _ in range(2):
        with (tmp_path / "log").open("wb") as log:
            search = subprocess.Popen(
                _command(file, out), stdout=log, stderr=log, start_new_session=True
            )
            time.sleep(rng.uniform(3.0, 8.0))
            os.kill(search.pid, signal.SIGKILL)
            search.wait()
        if (out / "run.json").exists():
            trials = Study.load(out).optuna_study.trials
            assert {t.state.name for t in trials} <= {"COMPLETE"}
            assert len(trials) >= finished
            finished = len(trials)
    done = subprocess.run(
        _command(file, out), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode in (0, SOURCE_IS_BEST), done.stdout + done.stderr
    study = Study.load(out)
    assert [t.state.name for t in study.optuna_study.trials] == ["COMPLETE"] * TRIALS
    assert list(study.records()) == list(range(TRIALS))
    assert study.best or study.nearest_to_source


def test_an_interrupt_is_no_traceback_and_the_search_can_go_on(write_study, tmp_path):
    file, out = write_study(tmp_path / "study"), tmp_path / "run"
    search = subprocess.Popen(
        _command(file, out), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    deadline = time.monotonic() + 60
    while len(list(out.glob("artifacts/*/measure.log"))) < 2:  # the first trial is finished
        assert time.monotonic() < deadline
        time.sleep(0.1)
    search.send_signal(signal.SIGINT)
    output, _ = search.communicate(timeout=60)
    assert search.returncode not in (0, None)
    assert "Traceback" not in output
    states = {t.state.name for t in Study.load(out).optuna_study.trials}
    assert states == {"COMPLETE"}
