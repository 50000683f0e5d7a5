"""A user's metric may do anything: the process that it does it in is not ours."""

import os
import signal
import sys
import time

import numpy as np
import pytest

from hamerspace.errors import MetricError, SessionError
from hamerspace.measure.judging import JudgeLimits, RemoteJudge, _JudgeProcess
from hamerspace.measure.quality import Answers, Judge
from hamerspace.tasks.metrics.resolve import FunctionMetric

LABELS = np.arange(300) % 4
SOURCE = np.eye(4, dtype=np.float32)[LABELS]
WORSE = np.where(np.arange(300)[:, None] < 30, np.roll(SOURCE, 1, axis=1), SOURCE)


@pytest.fixture
def remote(tmp_path):
    """``remote(function, **limits)`` judges by it in a process of its own."""
    made = []

    def make(function, timeout_s=20.0, memory_mb=2000.0):
        metric = FunctionMetric("session:theirs", function, "maximize")
        limits = JudgeLimits(timeout_s, memory_mb, tmp_path / "metric.log")
        made.append(RemoteJudge(metric, LABELS, SOURCE, limits=limits))
        return made[-1]

    yield make
    for judge in made:
        judge.close()


def rows_right(outputs, labels):
    return (outputs.argmax(1) == labels).astype(float)


def right(outputs, labels):
    return float((outputs.argmax(1) == labels).mean())


@pytest.mark.parametrize("function", [rows_right, right])
def test_it_judges_as_in_this_process(remote, function):
    judge = remote(function)
    local = Judge(judge.metric, LABELS, SOURCE)
    judge.check()
    assert judge.first_look == local.first_look
    assert judge.judge(WORSE, limit=1.0) == local.judge(WORSE, limit=1.0)
    assert judge.judge_source() == local.judge_source()
    answers = Answers(judge)
    answers.add(WORSE[:50])
    answers.add(WORSE[50:])
    assert answers.judge(100) == local.judge(WORSE[:100])


def test_a_bootstrap_asks_the_process_once(remote):
    judge = remote(right)
    judge.judge(WORSE)
    started = time.monotonic()
    quality = judge.judge(WORSE)
    assert quality.drop.low < 10 < quality.drop.high
    assert time.monotonic() - started < 5


def test_a_function_of_a_session_keeps_what_it_holds_on_to(remote):
    offset = np.full(1, 0.25)
    assert remote(lambda *_: float(offset[0])).judge(WORSE).value == 0.25


def _exit(*_):
    sys.exit(0)


def _leave(*_):
    os._exit(0)


def _hang(*_):
    time.sleep(1000)


def _recurse(*_):
    return _recurse(*_)


def _flood(*_):
    held = []
    while True:
        held.append(np.ones(10_000_000))
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("function", "error", "why"),
    [
        (_exit, MetricError, "raised SystemExit"),
        (_leave, SessionError, "exited with code 0"),
        (_hang, SessionError, "took longer than 1 s"),
        (_recurse, MetricError, "RecursionError"),
        (_flood, SessionError, "700 MB of memory"),
    ],
)
def test_whatever_it_does_is_an_error_and_the_next_one_is_judged(remote, function, error, why):
    judge = remote(function, 1.0 if function is _hang else 20.0, 700.0)
    with pytest.raises(error, match=f"metric 'session:theirs'.*{why}"):
        judge.check()
    with pytest.raises(error, match=why):
        judge.judge(WORSE)


def test_the_time_limit_is_of_each_call(remote):
    def slow(outputs, labels):
        time.sleep(0.004)
        return right(outputs, labels)

    judge = remote(slow)
    judge.judge(WORSE[:200])  # starts the process, whose imports take their time
    judge._running[0]._timeout_s = 1.0
    quality = judge.judge(WORSE)
    assert quality.drop.low < 10 < quality.drop.high


def test_a_slow_metric_is_asked_for_fewer_resamples(monkeypatch):
    calls = []

    def counted(outputs, labels):
        calls.append(1)
        return right(outputs, labels)

    found = []
    for slow_s in (1000.0, 0.0):
        monkeypatch.setattr("hamerspace.measure.quality._SLOW_S", slow_s)
        judge = Judge(FunctionMetric("session:theirs", counted, "maximize"), LABELS, SOURCE)
        calls.clear()
        drop = judge.judge(WORSE).drop
        found.append((len(calls), drop))
    (many, narrow), (few, wide) = found
    assert few < many / 2
    assert narrow.estimate == wide.estimate
    assert 0.5 < wide.half_width / narrow.half_width < 2


def test_what_it_prints_goes_to_the_log(remote, tmp_path, capfd):
    def talk(outputs, labels):
        sys.stdout.write("from the metric")
        return right(outputs, labels)

    remote(talk).check()
    assert capfd.readouterr().out == ""
    assert "from the metric" in (tmp_path / "metric.log").read_text()


@pytest.mark.parametrize("moment", ["path", "open"])
def test_a_process_that_cannot_take_the_judge_is_ended(remote, monkeypatch, moment):
    begun, call = [], _JudgeProcess._call

    def fail(process, name, **arguments):
        begun.append(process)
        if name == moment:
            raise SessionError("no room")
        return call(process, name, **arguments)

    monkeypatch.setattr(_JudgeProcess, "_call", fail)
    with pytest.raises(SessionError, match="no room"):
        remote(right).check()
    assert not begun[0].alive


def test_what_cannot_be_handed_over_is_told(remote, tmp_path):
    with (
        (tmp_path / "file").open("w") as stream,
        pytest.raises(MetricError, match="a process of its own"),
    ):
        remote(lambda *_: stream.write("x")).check()


def test_a_process_that_another_one_kills_is_started_again(remote, tmp_path):
    note = tmp_path / "killed"

    def die_once(outputs, labels):
        if not note.exists():
            note.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return right(outputs, labels)

    assert remote(die_once).judge(SOURCE).value == 1.0
