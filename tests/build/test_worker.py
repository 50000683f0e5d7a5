import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from hamerspace.build.worker import Outcome, Worker
from hamerspace.errors import DataError, HamerspaceError, SessionError


def _ended(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _ends(pid, within_s=10.0):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if _ended(pid):
            return True
        time.sleep(0.05)
    return False


def _comes(note, within_s=20.0):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if note.exists() and note.read_text():
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def worker(plugins):
    with Worker() as worker:
        yield worker


@pytest.fixture
def call(worker, tmp_path):
    def call(job, timeout_s=30.0, memory_mb=None, **arguments):
        log = tmp_path / "job.log"
        return worker.call(f"worker_jobs:{job}", arguments, log, timeout_s, memory_mb)

    return call


def test_a_job_returns_its_value_and_fills_the_log(call, tmp_path):
    outcome = call("add", a=2, b=3)
    assert outcome.ok
    assert outcome.value["sum"] == 5
    assert outcome.value["pid"] != os.getpid()
    assert (tmp_path / "job.log").read_text() == "adding 2 3\n"


def test_an_answer_longer_than_a_pipe_holds_arrives_whole(call):
    assert len(call("long_answer", length=3_000_000).value) == 3_000_000


def test_a_refusal_keeps_its_type_and_text(call):
    outcome = call("refuse")
    assert (outcome.status, outcome.error_type) == ("refused", "DataError")
    with pytest.raises(DataError, match="the data are empty"):
        outcome.unwrap("reading")


def test_an_exception_is_one_line_with_the_traceback_in_the_log(call, tmp_path):
    outcome = call("give_up")
    assert outcome.status == "error"
    assert outcome.error == "RuntimeError: the converter gave up"
    log = (tmp_path / "job.log").read_text()
    assert "Traceback (most recent call last)" in log
    assert "in give_up" in log
    with pytest.raises(HamerspaceError, match=r"preparing: RuntimeError: the converter gave up"):
        outcome.unwrap("preparing")


def test_a_full_disk_is_no_fault_of_the_job(call):
    outcome = call("fill_the_disk")
    assert outcome.error_type == "StoreError"
    assert "is full" in outcome.error


def test_a_crash_names_the_signal(call):
    outcome = call("misbehave", how="segfaults")
    assert outcome.status == "crashed"
    assert "SIGSEGV" in outcome.error


def test_a_silent_exit_is_a_crash(call):
    outcome = call("leave", code=7)
    assert outcome.status == "crashed"
    assert "code 7" in outcome.error


def test_a_hang_is_killed_at_the_limit(call, tmp_path):
    note = tmp_path / "pid"
    outcome = call("misbehave", timeout_s=0.5, how="hangs", note=str(note))
    assert outcome.status == "timeout"
    assert outcome.error == "took longer than 0.5 s"
    assert _ended(int(note.read_text()))


def test_a_flood_of_memory_is_killed_at_the_limit(call):
    outcome = call("misbehave", memory_mb=300, how="floods")
    assert outcome.status == "memory"
    assert "300 MB" in outcome.error


def test_what_the_server_has_imported_does_not_count_against_a_job(call, worker):
    worker.preload(("torch", "onnxruntime"))
    outcome = call("misbehave", timeout_s=0.5, memory_mb=40, how="hangs")
    assert outcome.status == "timeout"


@pytest.mark.parametrize("how", ["segfaults", "raises", "hangs"])
def test_the_worker_serves_on_after_a_failure(call, how):
    assert not call("misbehave", timeout_s=0.5, how=how).ok
    assert call("add", a=1, b=1).value["sum"] == 2


def test_each_job_has_a_process_of_its_own(call):
    assert call("add", a=1, b=1).value["pid"] != call("add", a=1, b=1).value["pid"]


def test_helpers_of_a_job_do_not_outlive_it(call):
    assert _ends(call("leave_a_helper").value)


def test_a_job_whose_server_is_killed_is_run_once_more(call, tmp_path):
    outcome = call("kill_the_server", note=str(tmp_path / "note"), times=1)
    assert outcome.ok
    assert outcome.value == "x"


def test_a_job_that_another_process_kills_is_run_once_more(call, tmp_path):
    assert call("die_once", note=str(tmp_path / "killed")).ok


def test_a_job_that_takes_a_second_server_along_has_crashed(call, worker, tmp_path):
    outcome = call("kill_the_server", note=str(tmp_path / "note"), times=9)
    assert outcome.status == "crashed"
    assert "twice, the build server ended unexpectedly" in outcome.error
    assert (tmp_path / "note").read_text() == "xx"
    assert call("add", a=1, b=1).ok


def test_a_job_does_not_outlive_its_server(worker, tmp_path):
    note = tmp_path / "pid"
    arguments = {"how": "hangs", "note": str(note)}
    log = tmp_path / "job.log"
    job = threading.Thread(target=worker.call, args=("worker_jobs:misbehave", arguments, log, 3))
    job.start()
    assert _comes(note)
    first = int(note.read_text())
    worker._process.kill()
    assert _ends(first)
    job.join(20)
    assert _ended(int(note.read_text())), "the one that was started again, at its time limit"


def test_an_interpreter_on_which_no_server_runs_is_no_result(tmp_path):
    with Worker(Path("/bin/false")) as worker, pytest.raises(SessionError, match="/bin/false"):
        worker.call("worker_jobs:add", {"a": 1, "b": 1}, tmp_path / "log", 10)


def test_a_dead_server_has_nothing_to_do(call, worker):
    call("add", a=1, b=1)
    worker._process.kill()
    worker.settle()
    assert call("add", a=1, b=1).ok


def test_a_server_that_died_between_jobs_is_replaced(call, worker):
    call("add", a=1, b=1)
    worker._process.kill()
    worker._process.wait()
    assert call("add", a=1, b=1).ok


def test_modules_that_are_not_installed_are_no_hindrance(call, worker):
    worker.preload(("no_such_module_at_all", "json"))
    assert call("add", a=1, b=2).ok


def test_closing_ends_the_server_and_may_be_repeated(worker):
    worker.start()
    pid = worker._process.pid
    worker.close()
    worker.close()
    assert _ended(pid)


_ORPHAN = """
import sys
from pathlib import Path
from hamerspace.build.worker import Worker
worker = Worker()
worker.start()
print(worker._process.pid, flush=True)
if sys.argv[1]:
    arguments = {"how": "hangs", "note": sys.argv[1]}
    worker.call("worker_jobs:misbehave", arguments, Path(sys.argv[2]), 600)
input()
"""


@pytest.mark.parametrize("busy", [False, True])
def test_nothing_is_left_when_the_caller_is_killed(plugins, tmp_path, busy):
    note = tmp_path / "pid"
    arguments = [str(note) if busy else "", str(tmp_path / "log")]
    command = [sys.executable, "-c", _ORPHAN, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as caller:
        server = int(caller.stdout.readline())
        assert not busy or _comes(note)
        caller.kill()
    assert _ends(server)
    if busy:
        assert _ends(int(note.read_text()))


def test_an_outcome_of_an_unknown_error_type_is_still_an_error():
    outcome = Outcome("refused", error="of a plug-in", error_type="PluginError")
    with pytest.raises(HamerspaceError, match="of a plug-in"):
        outcome.unwrap("building")
