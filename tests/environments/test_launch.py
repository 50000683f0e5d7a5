import subprocess
from pathlib import Path

import pytest

import hamerspace
from hamerspace.build.worker import Worker
from hamerspace.environments.launch import process_variables


@pytest.fixture
def call(tiny, tmp_path):
    with Worker(tiny) as worker:

        def call(function, **arguments):
            return worker.call(function, arguments, tmp_path / "log", 60.0)

        yield call


def test_jobs_run_on_the_interpreter_of_the_environment(call, tiny):
    purelib = Path(call("sysconfig:get_path", name="purelib").unwrap("job"))
    assert tiny.parents[1] in purelib.parents


def test_our_packages_do_not_leak_in(call, monkeypatch):
    """Not even those that the user's own PYTHONPATH names."""
    monkeypatch.setenv("PYTHONPATH", str(Path(pytest.__file__).parents[1]))
    for package in ("pytest", "psutil", "pydantic"):
        assert call("importlib.util:find_spec", name=package).value is None


def test_the_package_that_is_imported_is_this_one(tiny, tmp_path):
    script = "import hamerspace.build.server as s; print(s.__file__)"
    done = subprocess.run(
        [tiny, "-P", "-c", script],
        env=process_variables(tiny),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    ours = Path(hamerspace.__file__).parent / "build" / "server.py"
    assert ours.samefile(done.stdout.strip())
