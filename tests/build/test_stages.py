"""What decides that a result in the store may be used again."""

from pathlib import Path

import pytest

from hamerspace.backends.base import Host
from hamerspace.build.stages import plan_build
from hamerspace.config.study import QualitySection
from hamerspace.recipe import Recipe
from hamerspace.tasks.data.synthetic import random_data
from hamerspace.tasks.model import ModelArtifact, SourceInfo
from hamerspace.tasks.task import Task

PLAIN = Host("x86_64", frozenset({"avx2"}))
OTHERS = {
    "more instructions": Host("x86_64", frozenset({"avx2", "avx512f"})),
    "another architecture": Host("aarch64", frozenset({"asimddp"})),
    "a GPU": Host("x86_64", frozenset({"avx2"}), "Test GPU", (8, 9)),
}


@pytest.fixture
def task(onnx_task, tmp_path):
    source = ModelArtifact.load(onnx_task)
    splits = random_data(source.inputs, tmp_path, 0, 1)
    info = SourceInfo("onnx", source.inputs, source.outputs, 100, 400, ("conv", "linear"))
    return Task(tmp_path, source, info, splits, QualitySection(), Path(), 1, "fingerprint")


@pytest.fixture
def keys(task):
    """``keys(host, **parameters)`` are the keys of PyTorch's stages, the build's last."""

    def keys(host, **parameters):
        given = {f"pytorch.{name}": value for name, value in parameters.items()}
        plan = plan_build(task, Recipe({"backend": "pytorch", **given}), 0, lambda: host)
        return [stage.key for stage in plan.stages]

    return keys


@pytest.mark.parametrize("other", OTHERS)
def test_machine_code_is_not_taken_for_another_processor(keys, other):
    compiled = {"quantization": "none", "execution": "inductor"}
    here, there = keys(PLAIN, **compiled), keys(OTHERS[other], **compiled)
    assert here[-1] != there[-1]
    assert here[:-1] == there[:-1], "conversions are the same everywhere"
    assert here == keys(Host("x86_64", frozenset({"avx2"})), **compiled)


@pytest.mark.parametrize("other", OTHERS)
def test_what_runs_everywhere_is_built_once_for_all(keys, other):
    eager = {"quantization": "none", "execution": "eager"}
    assert keys(PLAIN, **eager) == keys(OTHERS[other], **eager)
