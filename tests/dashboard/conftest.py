"""A real run to show, and ways to serve it and to ask the server."""

import json
import shutil
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass

import pytest

from hamerspace.dashboard.server import DashboardServer
from hamerspace.study import Study

# The uncompressed model misses the size at a gate, dynamic int8 the drop after it was measured.
LIMITS = {"max_accuracy_drop": 4.0, "max_size_mb": 0.0105}
TRIALS = 4


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


def ask(url, method="GET", **headers):
    """What a server answers, whatever its status."""
    request = urllib.request.Request(url, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as got:
            return Answer(got.status, dict(got.headers), got.read())
    except urllib.error.HTTPError as refused:
        return Answer(refused.code, dict(refused.headers), refused.read())


@pytest.fixture(scope="session")
def study_file(write_study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shown")
    return write_study(folder, constraints=LIMITS, budget={"trials": TRIALS})


@pytest.fixture(scope="session")
def finished(study_file):
    """The folder of a finished run; not to be changed."""
    folder = study_file.parent / "run"
    Study.from_yaml(study_file, out=folder).optimize()
    return folder


@pytest.fixture
def run(finished, tmp_path):
    """A copy of the finished run."""
    return shutil.copytree(finished, tmp_path / "run")


@pytest.fixture
def serve():
    """``serve(run)`` serves a run on a free port and returns the address without a path."""
    servers = []

    def begin(folder):
        server = DashboardServer(folder, port=0)
        servers.append(server)
        threading.Thread(target=server.serve, daemon=True).start()
        return f"http://127.0.0.1:{server.port}"

    yield begin
    for server in servers:
        server.stop()
