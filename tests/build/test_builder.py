from pathlib import Path

import pytest

from hamerspace.backends.base import Host
from hamerspace.build import builder
from hamerspace.build.builder import Builder
from hamerspace.build.stages import BuildPlan, Stage
from hamerspace.build.store import Store, content_key
from hamerspace.build.worker import Outcome
from hamerspace.config.loading import load_study
from hamerspace.config.study import QualitySection
from hamerspace.recipe import Recipe
from hamerspace.tasks.data.synthetic import random_data
from hamerspace.tasks.model import ModelArtifact, SourceInfo
from hamerspace.tasks.task import Task

EAGER = {"backend": "pytorch", "pytorch.quantization": "none", "pytorch.execution": "eager"}
ONE, OTHER = Recipe(EAGER), Recipe({**EAGER, "pytorch.quantization": "dynamic_int8"})


def test_a_task_is_prepared_again_with_other_versions(tmp_path, monkeypatch):
    (tmp_path / "model.onnx").write_bytes(b"model")
    (tmp_path / "study.yaml").write_text("name: a\ntask:\n  source:\n    path: model.onnx\n")
    loaded = load_study(tmp_path / "study.yaml")
    keys = []
    for version in ("1", "1", "2"):
        monkeypatch.setattr(builder, "installed_versions", lambda names, v=version: {names[0]: v})
        keys.append(builder._task_key(loaded, Store(tmp_path / "store")))
    assert keys[0] == keys[1] != keys[2]


class FailingWorker:
    """Ends every job in the same way, after it has made the stages that it is told to."""

    def __init__(self, outcome, store, makes=0):
        self.outcome, self.store, self.makes, self.jobs = outcome, store, makes, 0

    def call(self, function, arguments, log, timeout_s, memory_mb):
        self.jobs += 1
        for stage in arguments["stages"][: self.makes]:
            self.store.make(stage["key"], lambda folder: (folder / "file").touch())
        return self.outcome


@pytest.fixture
def task(onnx_task, tmp_path):
    source = ModelArtifact.load(onnx_task)
    info = SourceInfo("onnx", source.inputs, source.outputs, 100, 400, ("conv", "linear"))
    splits = random_data(source.inputs, tmp_path, 0, 1)
    (tmp_path / "task.json").touch()
    return Task(tmp_path, source, info, splits, QualitySection(), Path(), 1, "fingerprint")


@pytest.fixture
def build(task, tmp_path):
    """``build(outcome, makes)`` builds two recipes that share a conversion; jobs that were run."""

    def build(outcome, makes=0):
        store = Store(tmp_path / "store")
        worker = FailingWorker(outcome, store, makes)
        host = Host("x86_64", frozenset())
        made = Builder(task, store, lambda _: worker, 0, lambda: host, timeout_s=1.0)
        results = [made.build(recipe, tmp_path / "build.log") for recipe in (ONE, OTHER)]
        assert [r.status for r in results] == [outcome.status] * 2
        assert all("export pytorch: " in r.error for r in results) or makes
        return worker.jobs

    return build


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome("refused", error="no such operator", error_type="BuildError"),
        Outcome("crashed", error="the process was killed by SIGSEGV"),
        Outcome("timeout", error="took longer than 1 s"),
        Outcome("memory", error="took more than 1 MB of memory"),
    ],
    ids=lambda outcome: outcome.status,
)
def test_a_stage_that_failed_is_not_tried_again_in_the_same_search(build, outcome):
    assert build(outcome) == 1


def test_a_kill_from_outside_says_nothing_of_the_stage(build):
    assert build(Outcome("crashed", error="the process was killed by SIGKILL")) == 2


def test_a_time_out_of_a_stage_that_had_only_the_rest_of_the_time_is_tried_again(build):
    assert build(Outcome("timeout", error="took longer than 1 s"), makes=1) == 2


@pytest.mark.parametrize(("cached", "tried"), [(False, 2), (True, 1)])
def test_a_time_out_elsewhere_counts_where_it_had_all_the_time(
    task, tmp_path, monkeypatch, cached, tried
):
    def stage(kind, environment):
        return Stage(kind, "x", {}, content_key(kind=kind), environment)

    plan = BuildPlan((stage("convert", None), stage("backend", "tool")), {})
    monkeypatch.setattr(builder, "plan_build", lambda *_: plan)
    store = Store(tmp_path / "store")
    record = {"label": "x", "seconds": 1.0, "cached": cached}
    here = FailingWorker(Outcome("ok", [record]), store, makes=1)
    there = FailingWorker(Outcome("timeout", error="took too long"), store)
    made = Builder(
        task, store, lambda name: there if name else here, 0, lambda: None, timeout_s=9.0
    )
    for _ in range(2):
        assert made.build(ONE, tmp_path / "build.log").status == "timeout"
    assert there.jobs == tried
