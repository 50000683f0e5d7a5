"""Make a tool environment: a virtual environment, its packages, a check, and the marker last."""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from hamerspace._files import write_text
from hamerspace.environments.base import (
    ENVIRONMENTS,
    MARKER,
    Environment,
    environment_python,
    environments_folder,
    install_hint,
    interpreter_of,
)
from hamerspace.environments.launch import process_variables
from hamerspace.errors import HamerspaceError

Report = Callable[[str], None]

_TOLD = ("Collecting ", "Downloading ", "Installing collected", "Successfully installed")
"""Lines of pip that show that it gets on."""
_NO_NETWORK = (
    "NewConnectionError",
    "NameResolutionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "Temporary failure in name resolution",
    "Network is unreachable",
)
_NO_SPACE = ("No space left on device", "Disk quota exceeded")

_CHECK = """\
import importlib, json, sys
from importlib.metadata import distributions
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps({d.metadata["Name"]: d.version for d in distributions()}, sort_keys=True))
"""


def install(name: str, report: Report) -> Path:
    """Install a tool environment, or find that it is.

    Whatever stands in its folder half-made or outdated is replaced. If this fails or is
    interrupted, nothing is left there but the log of pip beside it.

    Args:
        name: A name of :data:`~hamerspace.environments.ENVIRONMENTS`.
        report: Takes lines that tell how it gets on.

    Returns:
        Its folder.

    Raises:
        HamerspaceError: The name is unknown, the disk is full, the network or a package cannot be
            reached, or the tool does not import.
    """
    environment = ENVIRONMENTS.load(name)
    folder = environments_folder() / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _lock(folder.parent / f".{name}.lock", name):
        if environment_python(name) is not None:
            report(f"{name} is installed already, in {folder}")
            return folder
        _check_space(environment, folder.parent)
        log = folder.parent / f"{name}.log"
        try:
            _make(environment, folder, log, report)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        log.unlink(missing_ok=True)
    report(f"{name} is installed in {folder}")
    return folder


def _make(environment: Environment, folder: Path, log: Path, report: Report) -> None:
    report(f"making a virtual environment in {folder}")
    shutil.rmtree(folder, ignore_errors=True)
    log.write_text("")
    code = _run([sys.executable, "-m", "venv", str(folder)], dict(os.environ), log)
    if code != 0:
        raise HamerspaceError(
            f"Python cannot make a virtual environment ({_last_line(log)}); where 'venv' is a "
            f"package of the system, such as python3-venv, install it; log: {log}"
        )
    python = interpreter_of(folder)
    variables = process_variables(python)
    if environment.requirements:
        report(f"installing {', '.join(environment.requirements)}")
        options = ["install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
        pip = [str(python), "-m", "pip", *options, *environment.requirements]
        if _run(pip, variables, log, report) != 0:
            raise HamerspaceError(_why_pip_failed(environment, log))
    report("checking that it imports")
    # -P keeps what lies in the current folder off the path.
    modules = ["hamerspace.build.server", *environment.modules]
    done = subprocess.run(  # noqa: S603 - our own script
        [python, "-P", "-c", _CHECK, *modules],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        with log.open("a") as stream:
            stream.write(done.stderr)
        raise HamerspaceError(
            f"{environment.name} was installed but does not import: {_last_line(log)}; log: {log}"
        )
    versions = json.loads(done.stdout.splitlines()[-1])
    marker = {"requirements": list(environment.requirements), "versions": versions}
    write_text(folder / MARKER, json.dumps(marker, indent=1))


def _run(
    command: Sequence[str], variables: dict[str, str], log: Path, report: Report | None = None
) -> int:
    """Run a command with its output in the log, and tell of lines that show progress."""
    with (
        log.open("a") as stream,
        subprocess.Popen(  # noqa: S603 - our own commands
            command,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in process.stdout:
                stream.write(line)
                if report is not None and line.strip().startswith(_TOLD):
                    report(f"  {line.strip()[:150]}")
        except BaseException:
            process.kill()
            raise
    return process.returncode


def _why_pip_failed(environment: Environment, log: Path) -> str:
    text = log.read_text(errors="replace")
    again = install_hint(environment.name)
    if any(sign in text for sign in _NO_SPACE):
        return (
            f"no space is left for {environment.name}, which takes about "
            f"{environment.disk_mb:,} MB; make room, or set HAMERSPACE_DATA to a folder with more, "
            f"and run '{again}' again; log: {log}"
        )
    if any(sign in text for sign in _NO_NETWORK):
        return (
            f"pip cannot reach its package index; check the network and pip's configuration, and "
            f"run '{again}' again; log: {log}"
        )
    return f"pip cannot install {environment.name}: {_last_line(log)}; log: {log}"


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["it said nothing"])[-1][:300]


def _check_space(environment: Environment, folder: Path) -> None:
    free_mb = shutil.disk_usage(folder).free / 1e6
    if free_mb < environment.disk_mb:
        raise HamerspaceError(
            f"{environment.name} takes about {environment.disk_mb:,} MB and {folder} has "
            f"{free_mb:,.0f} MB left; make room, or set HAMERSPACE_DATA to a folder with more"
        )


@contextlib.contextmanager
def _lock(path: Path, name: str) -> Iterator[None]:
    with path.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HamerspaceError(f"another process is installing {name} just now") from error
        yield
