"""No signal is lost, and no exit code but ours leaves the program."""

import contextlib
import signal
import sys

import pytest

from hamerspace import cli
from hamerspace.cli import ending
from hamerspace.search.workbench import Workbench
from hamerspace.study import Study

SIGNALS = [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)]


@pytest.mark.parametrize(("number", "code"), SIGNALS)
@pytest.mark.parametrize("then", ["goes on", "fails"])
def test_a_signal_whose_exception_is_lost_ends_the_program(call, monkeypatch, number, code, then):
    def lose_it():
        with contextlib.suppress(BaseException):
            signal.raise_signal(number)
        if then == "fails":
            raise ImportError(name="numpy")

    monkeypatch.setattr(cli, "app", lose_it)
    assert call("spaces").code == code


def test_a_search_ends_at_the_next_phase_where_a_signal_was_lost(
    call, monkeypatch, write_study, tmp_path
):
    def lose_it(_):
        with contextlib.suppress(BaseException):
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Study, "_refuse_unwritable", lose_it)
    ended = call("search", write_study(tmp_path / "study"), "--out", tmp_path / "run")
    assert ended.code == 143
    assert "interrupted before a trial was finished" in ended.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("step", "objectives"), [("confirm", ["size", "quality"]), ("time_afresh", ["size"])]
)
def test_confirmation_ends_at_the_next_recipe_where_a_signal_was_lost(
    call, monkeypatch, write_study, tmp_path, step, objectives
):
    calls, real = [], getattr(Workbench, step)

    def lose_it(*arguments, **named):
        calls.append(arguments)
        with contextlib.suppress(BaseException):
            signal.raise_signal(signal.SIGTERM)
        return real(*arguments, **named)

    monkeypatch.setattr(Workbench, step, lose_it)
    space = {"backend": ["onnxruntime"], "onnxruntime.quantization": ["none", "dynamic_int8"]}
    study = write_study(tmp_path / "study", space, constraints={}, objectives=objectives)
    assert call("search", study, "--out", tmp_path / "run", "--trials", "2").code == 143
    assert len(calls) == 1


def test_what_ignores_a_signal_goes_on_doing_so(call):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        ending.listen()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_exit_of_code_that_is_not_ours_is_an_error(call, monkeypatch, write_study, tmp_path):
    monkeypatch.setattr(Study, "_refuse_unwritable", lambda _: sys.exit(0))
    ended = call("search", write_study(tmp_path / "study"), "--out", tmp_path / "run")
    assert ended.code == 2
    assert "sys.exit(0)" in ended.err
