"""Build recipes through the store and the worker."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from hamerspace.backends.candidate import Candidate
from hamerspace.build import preload
from hamerspace.build.faults import refuse_lost
from hamerspace.build.holds import Holds
from hamerspace.build.ranking import Ranking, read_ranking
from hamerspace.build.stages import BuildPlan, HostOf, Stage, plan_build
from hamerspace.build.store import Store, content_key
from hamerspace.build.versions import code_digest
from hamerspace.build.worker import Outcome, Worker
from hamerspace.config.study import LoadedStudy
from hamerspace.environments import installed_versions
from hamerspace.errors import BuildError, HamerspaceError, StoreError
from hamerspace.recipe import Recipe
from hamerspace.tasks.fingerprint import study_fingerprint
from hamerspace.tasks.model import ModelArtifact, SourceInfo, naming_damage
from hamerspace.tasks.reads import digests_of
from hamerspace.tasks.task import TASK_FILE, Task

_TASK_DISTRIBUTIONS = (
    "torch",
    "transformers",
    "onnx",
    "onnxruntime",
    "tensorflow-cpu",
    "keras",
    "ai-edge-litert",
    "numpy",
)
"""What reads, runs and describes a source model."""


@dataclass(frozen=True)
class BuildResult:
    """What became of a build.

    Attributes:
        candidate: The built candidate, or ``None`` where it failed or only techniques were run.
        status: ``ok``, or how it failed: see :class:`Outcome`.
        error: One line for people, where it failed; it names the stage.
        seconds: Wall seconds by stage; stages from the store are left out.
        reused: Labels of the stages that came from the store.
        key: The store's key of the candidate.
        ranking: Of the layers, where the recipe needed one and the store holds it.
    """

    candidate: Candidate | None
    status: str
    error: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    reused: tuple[str, ...] = ()
    key: str = ""
    ranking: Ranking | None = None


def prepare(loaded: LoadedStudy, store: Store, worker: Worker, log: Path, holds: Holds) -> Task:
    """Inspect a study's model and data in the worker, or take what an earlier run found.

    Args:
        loaded: The study.
        store: Where the task is kept.
        worker: Reads the model and the data.
        log: Receives what that prints.
        holds: Keep the task from being evicted as long as they last.

    Raises:
        HamerspaceError: What is wrong with the model or the data.
    """
    key = _task_key(loaded, store, holds)
    if store.get(key, holds) is None:
        outcome = _inspected("prepare", loaded, worker, log, store=str(store.root), key=key)
        outcome.unwrap("reading the model and the data")
    with _whole(store.path(key)):
        return Task.load(_held(store, key, holds))


def describe(loaded: LoadedStudy) -> SourceInfo:
    """Inspect a study's model and nothing else, in a worker of its own.

    Raises:
        HamerspaceError: What is wrong with the model.
    """
    with tempfile.TemporaryDirectory() as scratch, Worker() as worker:
        outcome = _inspected("describe", loaded, worker, Path(scratch) / "describe.log")
    return SourceInfo.from_dict(outcome.unwrap("reading the model"))


def _inspected(
    function: str, loaded: LoadedStudy, worker: Worker, log: Path, **arguments: str
) -> Outcome:
    """What became of a function of :mod:`hamerspace.build.inspection`."""
    worker.preload(preload.reading(loaded.source_path))
    study, budget = loaded.model_dump(mode="json"), loaded.config.budget
    return worker.call(
        f"hamerspace.build.inspection:{function}",
        {"study": study, **arguments},
        log,
        budget.build_timeout_s,
        budget.build_memory_mb,
    )


@contextmanager
def _whole(entry: Path) -> Iterator[None]:
    """Raise a StoreError where an entry is damaged, which says nothing of a candidate."""
    try:
        yield
    except ValueError as error:
        raise StoreError(f"{error}; delete {entry}, and it is made again") from error


def _held(store: Store, key: str, holds: Holds) -> Path:
    """The entry that a job has just made."""
    found = store.get(key, holds)
    if found is None:
        refuse_lost([store.path(key)])
    return store.path(key)


def _task_key(loaded: LoadedStudy, store: Store, holds: Holds | None = None) -> str:
    """Key of the entry that was made from the files as they are now, or of one to be made.

    What the code reads is known once it has run. So an entry tells what it was made from, and
    where that has changed since, the next one has a key of its own.
    """
    key = content_key(
        study=study_fingerprint(loaded),
        code=code_digest("hamerspace.tasks.prepare"),
        versions=installed_versions(_TASK_DISTRIBUTIONS),
    )
    while (entry := store.get(key, holds)) is not None:
        with _whole(entry), naming_damage(entry / TASK_FILE):
            reads = json.loads((entry / TASK_FILE).read_text())["reads"]
        now = digests_of(reads, loaded.root)
        if now == reads:
            break
        key = content_key(before=key, reads=now)
    return key


Workers = Callable[[str | None], Worker]


def context_of(task: Task, store: Store, seed: int) -> dict[str, Any]:
    """What :func:`~hamerspace.build.jobs.run_stages` needs of a task, as JSON."""
    splits = task.splits
    train: dict[str, Any] | None = None
    if task.loss is not None:
        train = {
            "arrays": splits.paths("train", labels_as="labels"),
            "inputs": list(splits.inputs),
            "loss": task.loss,
            "output": task.output,
            "row_axis": task.judged.row_axis,
        }
    return {
        "store": str(store.root),
        "calibration": splits.input_paths("calibration"),
        "constants": [spec.name for spec in task.source.inputs if spec.constant],
        "train": train,
        "batch_size": task.batch_size,
        "seed": seed,
    }


@dataclass(eq=False)
class Builder:
    """Builds the recipes of one task; close it when done.

    What the latest build made is held in the store until the next one, or until it is closed.
    A stage that has failed fails again at once where another recipe needs it, as the same stage
    would: the store keeps no failures, so the next builder tries it anew.

    Attributes:
        task: The prepared task.
        store: Where results of stages are kept.
        workers: The worker of an environment; ``None`` is our own.
        seed: Of every random draw in a stage.
        host: The device that recipes are built on and for.
        timeout_s: Wall seconds of one build.
        memory_mb: Resident MB of one build; ``None`` for the worker's default.
        failed: Status and reason of each stage that failed, by its key.
    """

    task: Task
    store: Store
    workers: Workers
    seed: int
    host: HostOf
    timeout_s: float
    memory_mb: float | None = None
    failed: dict[str, tuple[str, str]] = field(default_factory=dict, init=False)
    _holds: Holds = field(default_factory=Holds, init=False)

    def plan(self, recipe: Recipe) -> BuildPlan:
        """The stages of ``recipe``.

        Raises:
            HamerspaceError: It cannot be built.
        """
        return plan_build(self.task, recipe, self.seed, self.host)

    def build(self, recipe: Recipe, log: Path) -> BuildResult:
        """Build ``recipe``; a failure is a result, with the job's output in ``log``.

        Raises:
            StoreError: The store cannot be written, or what was in it is gone.
            SessionError: No build server can be started.
        """
        self._holds.release()
        try:
            plan = self.plan(recipe)
        except HamerspaceError as error:
            log.write_text(f"{error}\n")
            return BuildResult(None, "refused", str(error))
        return replace(self._follow(plan, log), ranking=self._ranking(plan, recipe))

    def _follow(self, plan: BuildPlan, log: Path) -> BuildResult:
        key = plan.stages[-1].key
        if self.store.get(key, self._holds) is not None:
            reused = tuple(stage.label for stage in plan.stages)
            if not log.exists():
                log.write_text(f"from the store: {', '.join(reused)}\n")
            found = BuildResult(None, "ok", reused=reused)
        else:
            found = self._run(plan.stages, log)
        if found.status == "ok":
            entry = _held(self.store, key, self._holds)
            with _whole(entry):
                candidate = Candidate.load(entry).with_runtime(plan.runtime)
            found = replace(found, candidate=candidate)
        return replace(found, key=key)

    def technique_model(self, recipe: Recipe, model_format: str, log: Path) -> ModelArtifact | None:
        """The model that the techniques of a recipe leave, before its backend converts it.

        Args:
            recipe: Of a candidate that was built.
            model_format: ``None`` is returned where the model has another one.
            log: Receives what building it again prints, where the store has dropped it.

        Raises:
            BuildError: It cannot be built again.
        """
        plan = self.plan(recipe)
        if plan.technique_format != model_format:
            return None
        self._holds.release()
        key = plan.techniques[-1].key
        if self.store.get(key, self._holds) is None:
            ran = self._run(plan.techniques, log)
            if ran.status != "ok":
                raise BuildError(ran.error)
        with _whole(self.store.path(key)):
            return ModelArtifact.load(_held(self.store, key, self._holds))

    def close(self) -> None:
        """Let go of what the latest build made."""
        self._holds.release()

    def _run(self, stages: Sequence[Stage], log: Path) -> BuildResult:
        folder = self.task.source.folder
        records: list[dict[str, Any]] = []
        left_s = self.timeout_s
        for environment, group_of in groupby(stages, key=lambda stage: stage.environment):
            group = list(group_of)
            known = next((self.failed[s.key] for s in group if s.key in self.failed), None)
            if known is not None:
                log.write_text(f"failed in an earlier trial of this search: {known[1]}\n")
                return BuildResult(None, *known, _seconds(records))
            started, first = time.monotonic(), self._first_missing(group)
            arguments = {
                "context": context_of(self.task, self.store, self.seed),
                "model": str(folder),
                "stages": [stage.to_dict() for stage in group],
            }
            outcome = self.workers(environment).call(
                "hamerspace.build.jobs:run_stages",
                arguments,
                log,
                left_s,
                self.memory_mb,
            )
            if not outcome.ok:
                self._refuse_fault(outcome, folder)
                stage = self._first_missing(group)
                failure = (outcome.status, f"{stage.label}: {outcome.error}")
                # Of a time-out only what had all the time; a kill may have been another's doing.
                whole = stage == first and left_s == self.timeout_s
                if whole if outcome.status == "timeout" else not outcome.killed:
                    self.failed[stage.key] = failure
                seconds = {**_seconds(records), stage.label: time.monotonic() - started}
                return BuildResult(None, *failure, seconds)
            records += outcome.value
            if not all(record["cached"] for record in outcome.value):
                left_s = max(left_s - (time.monotonic() - started), 1.0)
            folder = _held(self.store, group[-1].key, self._holds)
        reused = tuple(record["label"] for record in records if record["cached"])
        return BuildResult(None, "ok", seconds=_seconds(records), reused=reused)

    def _refuse_fault(self, outcome: Outcome, model: Path) -> None:
        """Raise what made a build fail and says nothing of the candidate."""
        if outcome.error_type == StoreError.__name__:
            outcome.unwrap("building")
        refuse_lost([model, *self.task.files()])

    def _ranking(self, plan: BuildPlan, recipe: Recipe) -> Ranking | None:
        stage = next((s for s in plan.stages if s.kind == "sensitivity"), None)
        entry = None if stage is None else self.store.get(stage.key, self._holds)
        if stage is None or entry is None:
            return None
        with _whole(entry), naming_damage(entry):
            return read_ranking(entry, stage.key, recipe, stage.parameters)

    def _first_missing(self, stages: Sequence[Stage]) -> Stage:
        return next((s for s in stages if self.store.get(s.key) is None), stages[-1])


def _seconds(records: Sequence[dict[str, Any]]) -> dict[str, float]:
    return {r["label"]: r["seconds"] for r in records if not r["cached"]}
