"""The command line starts light."""

import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "onnx",
    "onnxruntime",
    "openvino",
    "optuna",
    "pandas",
    "plotly",
    "sklearn",
    "scipy",
)


@pytest.mark.parametrize("module", ["hamerspace", "hamerspace.cli"])
def test_importing_loads_nothing_heavy(module):
    code = f"import sys, {module}; print(*[m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_help_lists_every_command(call):
    ended = call("--help")
    assert ended.code == 0
    for command in ("search", "show", "export", "benchmark", "spaces", "backends"):
        assert f"  {command} " in ended.out


def test_version(call):
    from hamerspace import __version__

    assert call("--version").out == f"hamerspace {__version__}\n"
