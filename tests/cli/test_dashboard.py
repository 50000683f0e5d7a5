"""The dashboard as a program."""

import json
import os
import shutil
import signal
import socket
import sys
import time
import urllib.request
from pathlib import Path

import pytest


def _document(process):
    """The one JSON document on a program's output, which goes on running."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line == "}\n":
            return json.loads("".join(lines))
    raise AssertionError("".join(lines))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_it_serves_until_it_is_told_to_end(start, finished_run, number, code):
    process, errors = start("dashboard", finished_run[0], "--port", 0, "--json")
    document = _document(process)
    assert document["run"] == str(finished_run[0])
    assert document["study"] == "tiny"
    assert document["url"].startswith(f"http://127.0.0.1:{document['port']}/dashboard/studies/")
    with urllib.request.urlopen(document["url"], timeout=30) as page:
        assert b"Optuna Dashboard" in page.read()
    details = document["url"].replace("/dashboard/", "/api/")
    with urllib.request.urlopen(details, timeout=30) as answer:
        assert len(json.load(answer)["trials"]) == 3
    os.kill(process.pid, number)
    assert process.wait(30) == code
    assert Path(errors).read_text() == ""


def test_text_tells_the_address_on_one_line(start, finished_run):
    process, errors = start("dashboard", finished_run[0], "--port", 0, NO_COLOR="1", COLUMNS="20")
    line = process.stdout.readline()
    assert line.startswith("tiny: http://127.0.0.1:")
    assert line.endswith("/dashboard/studies/0\n")
    assert process.stdout.readline() == "Ctrl-C ends it.\n"
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(30) == 0
    assert Path(errors).read_text() == ""


def test_other_hosts_are_warned_of(start, finished_run):
    process, errors = start("dashboard", finished_run[0], "--host", "0.0.0.0", "--port", 0)
    assert process.stdout.readline().startswith("tiny: http://0.0.0.0:")
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(30) == 0
    said = Path(errors).read_text()
    assert said.startswith("warning: whoever reaches 0.0.0.0")
    assert "no password" in said
    assert "ssh -L" in said


def test_a_browser_is_opened_where_one_is_asked_for(start, finished_run, tmp_path):
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    flags = ("--port", 0, "--open", "--json")
    process, _ = start("dashboard", finished_run[0], *flags, BROWSER=f"{browser} %s")
    document = _document(process)
    deadline = time.monotonic() + 30
    while not (tmp_path / "opened").exists() or not (tmp_path / "opened").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert (tmp_path / "opened").read_text().strip() == document["url"]
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(30) == 0


def test_what_is_no_run_is_refused(refused, tmp_path):
    for path in (tmp_path / "nowhere", tmp_path):
        message = refused("dashboard", path, "--port", 0)
        assert "holds no run" in message
        assert str(path) in message


def test_a_port_in_use_is_refused_in_one_line(refused, finished_run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = refused("dashboard", finished_run[0], "--port", port)
    assert message == (
        f"error: --port: {port} is in use on 127.0.0.1; name another, or 0 for a free one"
    )


def test_a_damaged_database_is_named(refused, finished_run, tmp_path):
    run = shutil.copytree(finished_run[0], tmp_path / "run")
    for name in ("study.db-wal", "study.db-shm"):
        (run / name).unlink(missing_ok=True)
    (run / "study.db").write_bytes(b"\x07" * 9000)
    assert "study.db" in refused("dashboard", run, "--port", 0)


def test_without_the_extra_the_command_says_how_to_get_it(refused, finished_run, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    message = refused("dashboard", finished_run[0])
    assert "pip install 'hamerspace[dashboard]'" in message


def test_help_tells_the_exit_codes(call):
    ended = call("dashboard", "--help")
    assert ended.code == 0
    assert "Exit codes: 0 ended by Ctrl-C" in " ".join(ended.out.split())
