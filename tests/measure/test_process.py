import os
import signal
import sys
from contextlib import closing

import numpy as np
import psutil
import pytest

from hamerspace.errors import DeviceError, SessionError
from hamerspace.measure.process import ChildProcess, ModelProcess


@pytest.fixture
def start(build_unruly, search_split, tmp_path):
    """``start(behaviour, timeout_s=60, memory_mb=8000)`` gives a process with a loaded model."""
    running = []

    def start(behaviour, timeout_s=60.0, memory_mb=8000.0):
        process = ModelProcess(1, timeout_s, memory_mb, tmp_path / "log", "onnxruntime")
        running.append(process)
        return process, process.load(build_unruly(behaviour), search_split.inputs, 1)

    yield start
    for process in running:
        process.close()


def test_a_process_runs_its_model_as_the_source_does(start, search_split):
    process, loaded = start("none")
    assert loaded["load_time_ms"] > 0
    assert loaded["peak_memory_mb"] > 0
    outputs = process.evaluate(search_split.inputs, 1, 100, 150, ["logits"])["logits"]
    wanted = search_split.judge.source_outputs[100:150]
    np.testing.assert_allclose(outputs, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("load_raises", "load: RuntimeError: no such kernel"),
        ("run_segfaults", "load: the process was killed by SIGSEGV"),
        ("run_hangs", "load: took longer than 1.5 s"),
    ],
)
def test_a_model_that_cannot_be_run_is_a_session_error(start, behaviour, message):
    with pytest.raises(SessionError, match=message):
        start(behaviour, timeout_s=1.5 if behaviour == "run_hangs" else 60)


def test_what_a_process_prints_is_in_its_log(start, tmp_path):
    with pytest.raises(SessionError):
        start("load_raises")
    assert "no such kernel" in (tmp_path / "log").read_text()


def test_too_much_memory_is_a_session_error(start):
    with pytest.raises(SessionError, match="took more than 20 MB of memory"):
        start("run_hangs", memory_mb=20)


def test_a_process_that_hung_is_ended_for_its_answer_may_come_later(start):
    process, _ = start("none")
    os.kill(process._process.pid, signal.SIGSTOP)
    process._timeout_s = 0.3
    with pytest.raises(SessionError, match=r"block: took longer than 0\.3 s"):
        process.block(1)
    assert not process.alive
    with pytest.raises(SessionError, match="block: the process was killed by SIGKILL"):
        process.block(1)


def test_a_killed_process_is_told(start):
    process, _ = start("none")
    os.kill(process._process.pid, signal.SIGKILL)
    with pytest.raises(SessionError, match="killed by SIGKILL"):
        process.block(1)
    assert not process.alive


CLOSES = """
import subprocess, sys, time
from multiprocessing.connection import Connection
theirs = Connection(int(sys.argv[-1]))
theirs.send(("going on", None))
subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL)
if "ends" in sys.argv:
    sys.exit(3)
theirs.close()
time.sleep(60)
"""


@pytest.mark.parametrize(("how", "why"), [("ends", "exited with code 3"), ("on", "went on")])
def test_what_closes_its_connection_is_ended_with_all_that_it_started(tmp_path, how, why):
    command = [sys.executable, "-c", CLOSES, how]
    with closing(ChildProcess(command, os.environ, 1.0, 8000.0, tmp_path / "log")) as process:
        with pytest.raises(SessionError, match=f"ask: the process .*{why}"):
            process._call("ask")
        assert not process.alive
        group = [p for p in psutil.process_iter() if _group(p) == process._process.pid]
        psutil.wait_procs(group, timeout=5)
        assert not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in group)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ([sys.executable, "-c", "raise SystemExit(3)"], "exited with code 3"),
        (["/no/such/interpreter"], "No such file"),
    ],
)
def test_a_process_that_never_begins_is_a_fault_of_the_device(tmp_path, command, why):
    with (
        pytest.raises(DeviceError, match=rf"cannot be started \(.*{why}.*log has what"),
        closing(ChildProcess(command, os.environ, 1.0, 8000.0, tmp_path / "log")) as process,
    ):
        process._call("ask")


def _group(process):
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return None


def test_what_has_ended_is_not_signalled_by_its_number(start, monkeypatch):
    process, _ = start("none")
    os.kill(process._process.pid, signal.SIGKILL)
    with pytest.raises(SessionError, match="killed by SIGKILL"):
        process.block(1)
    monkeypatch.setattr(os, "killpg", lambda *_: pytest.fail("the number is anybody's by now"))
    process.close()


def test_closing_ends_the_process(start):
    process, _ = start("none")
    pid = process._process.pid
    process.close()
    assert not psutil.pid_exists(pid)


def test_the_child_imports_its_runtime_and_no_framework(start):
    process, _ = start("none")
    mapped = {m.path for m in psutil.Process(process._process.pid).memory_maps()}
    assert any("onnxruntime" in path for path in mapped)
    for heavy in ("/torch/", "/openvino/", "/scipy/", "/sklearn/", "/sqlalchemy/"):
        assert not any(heavy in path for path in mapped), heavy


def test_a_backend_whose_tool_environment_is_missing_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HAMERSPACE_DATA", str(tmp_path))
    with pytest.raises(DeviceError, match="hamerspace backends install tvm"):
        ModelProcess(1, 10.0, 8000.0, tmp_path / "log", "tvm")
