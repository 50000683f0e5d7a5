"""What a shell is offered, and that it is offered without importing anything heavy."""

import os
import subprocess
import sys

import pytest

from hamerspace.cli import completion
from tests.cli.test_start import HEAVY

NAMED = "sys.argv = ['hamerspace']"


def test_names_are_those_of_the_registries():
    from hamerspace.backends import BACKENDS
    from hamerspace.environments import ENVIRONMENTS
    from hamerspace.tasks.metrics import METRICS

    # Those that come along: what other tests register, or other packages, is not known beforehand.
    assert set(completion.BACKENDS) == set(BACKENDS._builtin)
    assert set(completion.METRICS) == set(METRICS._builtin)
    assert set(completion.TOOL_ENVIRONMENTS) == set(ENVIRONMENTS._builtin)


def test_the_last_of_several_names_is_completed():
    assert completion.backends("onnxruntime,op") == ["onnxruntime,openvino"]
    assert completion.hardware("e") == ["edge"]
    assert "onnxruntime,onnxruntime" not in completion.backends("onnxruntime,o")


def test_spaces_and_runs_are_found(tmp_path, monkeypatch):
    assert completion.spaces("q") == ["quick"]
    assert "auto" in completion.spaces("a")
    for name in ("runs/one", "runs/two", "elsewhere/three", "runs/no_run"):
        (tmp_path / name).mkdir(parents=True)
        if name != "runs/no_run":
            (tmp_path / name / "run.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert completion.run_folders("") == ["runs/one", "runs/two"]
    assert completion.run_folders("runs/t") == ["runs/two"]
    assert completion.run_folders("elsewhere/") == ["elsewhere/three"]
    assert completion.run_folders("nowhere/x") == []


def _completed(shell, words):
    environment = {
        "bash": {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)},
        "zsh": {"_TYPER_COMPLETE_ARGS": " ".join(words)},
        "fish": {
            "_TYPER_COMPLETE_ARGS": " ".join(words),
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        },
    }[shell]
    code = (
        f"import sys; {NAMED}\n"
        "try:\n"
        "    from hamerspace.cli import main; main()\n"
        "finally:\n"
        f"    print('HEAVY', *[m for m in {HEAVY} if m in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "_HAMERSPACE_COMPLETE": f"complete_{shell}", **environment},
    )
    assert done.stderr.strip() == "HEAVY"
    return done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_are_answered(shell):
    assert "quick" in _completed(shell, ["hamerspace", "search", "m.onnx", "--space", "qui"])
    objectives = ["hamerspace", "search", "m.onnx", "--objectives", "quality,t"]
    assert "quality,throughput" in _completed(shell, objectives)
    assert "nsgaii" in _completed(shell, ["hamerspace", "search", "m.onnx", "--sampler", "n"])
    assert "compare" in _completed(shell, ["hamerspace", "comp"])


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_each_shell_is_shown(shell):
    script = subprocess.run(
        [sys.executable, "-c", f"import sys; {NAMED}; from hamerspace.cli import main; main()"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "_HAMERSPACE_COMPLETE": f"source_{shell}"},
    ).stdout
    assert "_HAMERSPACE_COMPLETE" in script
