"""What a target does where a GPU is asked for."""

import subprocess
from dataclasses import replace

import pytest

from hamerspace.backends.candidate import Candidate
from hamerspace.errors import HamerspaceError
from hamerspace.targets import gpu, local
from hamerspace.targets.gpu import Gpu, find_gpu
from hamerspace.targets.local import LocalTarget


def answer(monkeypatch, printed, **failure):
    def run(*_, **__):
        if failure:
            raise failure["error"]
        return subprocess.CompletedProcess([], 0, printed, "")

    monkeypatch.setattr(gpu.subprocess, "run", run)


def test_a_missing_gpu_is_told_before_anything_runs():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(
        HamerspaceError, match=r"no CUDA device: torch .*; use target\.hardware cpu"
    ):
        LocalTarget(1, 10.0, hardware="gpu")


def test_a_gpu_is_described_to_the_backends(monkeypatch, tmp_path):
    answer(monkeypatch, '{"name": "Test GPU", "capability": [8, 9], "cuda": "13.0"}\n')
    assert find_gpu() == Gpu("Test GPU", (8, 9), "13.0")
    target = LocalTarget(1, 10.0, hardware="gpu")
    assert (target.host().gpu, target.host().compute_capability) == ("Test GPU", (8, 9))
    assert target.environment()["gpu"] == "Test GPU"


def test_without_asking_for_it_a_gpu_is_not_looked_for(monkeypatch):
    monkeypatch.setattr(local, "find_gpu", lambda: pytest.fail("looked for a GPU"))
    target = LocalTarget(1, 10.0)
    assert target.host().gpu == ""
    assert "gpu" not in target.environment()


@pytest.mark.parametrize(
    "error", [subprocess.TimeoutExpired("python", 1), OSError("no interpreter")]
)
def test_a_probe_that_fails_is_one_line(monkeypatch, error):
    answer(monkeypatch, "", error=error)
    with pytest.raises(HamerspaceError, match="asking torch failed"):
        find_gpu()


def test_the_source_model_runs_on_the_gpu_too(monkeypatch, tmp_path):
    answer(monkeypatch, '{"name": "Test GPU", "capability": [8, 9], "cuda": "13.0"}\n')
    target = LocalTarget(1, 10.0, hardware="gpu")
    source = Candidate(tmp_path, "pytorch", (), (), (), metadata={"kind": "source"})
    assert target.put(source).runtime == {"device": "cuda"}
    assert target.put(replace(source, backend="onnxruntime")).runtime == {}
