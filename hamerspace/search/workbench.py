"""Everything that turns the recipes of one study into measurements."""

import tempfile
import time
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from hamerspace.backends import BACKENDS
from hamerspace.backends.base import Candidate, Host
from hamerspace.build import preload
from hamerspace.build.builder import Builder, BuildResult, is_prepared, prepare
from hamerspace.build.faults import refuse_lost
from hamerspace.build.holds import Holds
from hamerspace.build.stages import host_digest
from hamerspace.build.store import Store, content_key
from hamerspace.build.versions import code_digest
from hamerspace.build.worker import Worker
from hamerspace.config.loading import parse_space_file
from hamerspace.config.space import SpaceConfig
from hamerspace.config.study import AUTO_GOAL, AUTO_SPACE, LoadedStudy
from hamerspace.constraints import Objective
from hamerspace.environments import environment_python, install_hint
from hamerspace.errors import BackendUnavailableError, BuildError, ConfigError, SourceError
from hamerspace.measure.judging import JudgeLimits, RemoteJudge
from hamerspace.measure.latency import LatencyPlan
from hamerspace.measure.measurement import Gate, Latency, Measurement
from hamerspace.measure.memory import default_limit_mb
from hamerspace.measure.protocol import SHORT, Gates, MeasurementPlan, look_takes_less
from hamerspace.measure.quality import Judge, looks
from hamerspace.measure.size import download_bytes
from hamerspace.measure.statistics import CONFIDENCE, Interval
from hamerspace.measure.steps import EvaluationSet
from hamerspace.recipe import Recipe
from hamerspace.search.rankings import keep_ranking
from hamerspace.search.record import Evaluation, observed
from hamerspace.search.run_folder import RunFolder
from hamerspace.search.stages import StoredStages
from hamerspace.space import (
    Space,
    assemble_space,
    choose_space,
    find_space_file,
    narrow,
    refuse_idle_goal,
)
from hamerspace.targets import TARGETS, Target
from hamerspace.tasks.metrics import METRICS, Metric
from hamerspace.tasks.metrics.fidelity import scores_doubt
from hamerspace.tasks.metrics.resolve import FunctionMetric
from hamerspace.tasks.model import ModelArtifact
from hamerspace.tasks.task import Task

SOURCE_FILE = "source.json"


class Workbench:
    """Holds the worker, the store and the target of a study; close it when done.

    Args:
        loaded: The study.
        folder: Receives logs and what is measured of the source model.
        store: Results of build stages.
        backends: Restrict the space to these.
    """

    def __init__(
        self,
        loaded: LoadedStudy,
        folder: RunFolder,
        store: Store,
        backends: tuple[str, ...] | None = None,
    ) -> None:
        self.loaded = loaded
        self.config = loaded.config
        self.constraints = loaded.config.constraints.constraints()
        self._folder = folder
        self._own_logs: tempfile.TemporaryDirectory[str] | None = None
        self._store = store
        self._backends = backends
        self._holds = Holds()  # of the task and the source model's outputs
        self._worker = Worker()
        self._tool_workers: dict[str, Worker] = {}
        self._started = False
        self._sets: dict[str, EvaluationSet] = {}

    @cached_property
    def _logs(self) -> RunFolder:
        """Where logs go: nowhere for long of a run that one may only read."""
        if self._folder.is_writable:
            return self._folder
        self._own_logs = tempfile.TemporaryDirectory()
        return RunFolder(Path(self._own_logs.name))

    @cached_property
    def task(self) -> Task:
        """The inspected model and the split data."""
        if not is_prepared(self.loaded, self._store):
            self._worker.preload(preload.reading(self.loaded.source_path))
        log = self._logs.log("prepare.log")
        return prepare(self.loaded, self._store, self._worker, log, self._holds)

    @cached_property
    def target(self) -> Target:
        """Where candidates are measured."""
        budget, target = self.config.budget, self.config.target
        return TARGETS.load(target.name)(
            target.threads, budget.measure_timeout_s, hardware=target.hardware
        )

    @cached_property
    def _host(self) -> Host:
        return self.target.host()

    @cached_property
    def space(self) -> Space:
        """What the space file means for this model on this target."""
        task, goal = self.task, self.config.goal
        space = assemble_space(
            self.space_config,
            task.info,
            self._host,
            task.loss,
            self._backends,
            self.config.target.hardware,
        )
        if goal != AUTO_GOAL:
            refuse_idle_goal(space, goal)
        return space

    @cached_property
    def space_config(self) -> SpaceConfig:
        """What the space file declares, as far as the goal leaves it."""
        declared = parse_space_file(find_space_file(self._space_choice[0], self.loaded.root))
        return narrow(declared, self.config.goal)

    @cached_property
    def _space_choice(self) -> tuple[str, str]:
        name = self.config.space
        if name != AUTO_SPACE:
            return name, ""
        return choose_space(self.task.info, self.config.target.hardware, self._host.machine)

    @property
    def space_reason(self) -> str:
        """Why ``auto`` took this space; empty where the study names one."""
        return self._space_choice[1]

    @cached_property
    def builder(self) -> Builder:
        budget = self.config.budget
        return Builder(
            self.task,
            self._store,
            self._worker_of,
            self.config.search.seed,
            lambda: self._host,
            budget.build_timeout_s,
            budget.build_memory_mb,
        )

    @cached_property
    def stages(self) -> StoredStages:
        """Which build stages of a recipe are built already."""
        return StoredStages(self.task, self._store, self.config.search.seed, lambda: self._host)

    def settle(self) -> None:
        """Wait until no worker imports anything any more, so that something can be timed."""
        for worker in (self._worker, *self._tool_workers.values()):
            worker.settle()

    def backend_names(self) -> tuple[str, ...]:
        """Those that the space holds."""
        choice = next(c for c in self.space.choices if c.name == "backend")
        return tuple(str(value) for value in choice.values)

    def _worker_of(self, environment: str | None) -> Worker:
        """The worker that runs on the interpreter of an environment."""
        if environment is None:
            return self._worker
        if environment not in self._tool_workers:
            python = environment_python(environment)
            if python is None:
                raise BuildError(f"{environment} is not installed; {install_hint(environment)}")
            worker = Worker(python)
            names = self.backend_names()
            worker.preload(preload.building(self.task.info, names, environment))
            self._tool_workers[environment] = worker
        return self._tool_workers[environment]

    @cached_property
    def source_measurement(self) -> Measurement:
        """The source model's own figures on the search split, measured once in a study."""
        found = self._folder.read(SOURCE_FILE)
        if found is not None:
            return Measurement.from_dict(found["measurement"])
        self.start()
        data = self._data("search")
        self.settle()
        plain = self.target.measure_reference(
            self._source, data.inputs, self.task.batch_size, LatencyPlan(0.02, 2.5, 1.0)
        )
        value = plain.to_dict()
        if self._counts_download(None):
            value["download_mb"] = download_bytes(self._source) / 1e6
        value["quality"] = data.judge.judge(data.judge.source_outputs).__dict__
        value["quality"]["drop"] = value["quality"]["drop"].to_dict()
        self._folder.write(
            SOURCE_FILE, {"measurement": value, "environment": self.target.environment()}
        )
        return Measurement.from_dict(value)

    def drop_of_source(self, split: str, confidence: float) -> Interval:
        """The drop of a candidate that answers each row as the source model does."""
        judge = self._data(split).judge
        return judge.judge(judge.source_outputs, confidence).drop

    @property
    def source_values(self) -> dict[str, float]:
        """The source model's value of every objective."""
        return observed(self.source_measurement)

    @property
    def source_backend(self) -> str:
        """Name of the backend that runs the source model."""
        return self._source.backend

    @cached_property
    def metric(self) -> Metric:
        """The judge of quality.

        Where a study names none and there are no labels, the source model's outputs decide
        whether they are scores of classes, as their shape alone does not tell.
        """
        return METRICS.load("fidelity_r2") if self._doubt else self.task.metric

    @cached_property
    def _doubt(self) -> str:
        """Why an output of the shape of class scores holds none; empty where it may."""
        task = self.task
        if task.quality.metric is not None or task.metric.name != "agreement":
            return ""
        return scores_doubt(self._source_outputs("search"))

    @property
    def metric_reason(self) -> str | None:
        """What was assumed of the output; ``None`` where nothing had to be."""
        if self.task.quality.metric is not None or self.task.metric.name != "agreement":
            return None
        if self._doubt:
            return (
                f"Output {self.task.judged} is not taken for scores of classes, since "
                f"{self._doubt}: quality is fidelity_r2, by the worst channel."
            )
        return (
            f"Output {self.task.judged} is taken for scores of classes: quality is how often the "
            "same one is the greatest. For an embedding or other numbers choose 'fidelity_r2'."
        )

    def start(self) -> None:
        """Load the source model on the target and check the metric on its outputs.

        Raises:
            SourceError: The model runs but its outputs cannot be judged.
            MetricError: The metric does not take them.
        """
        if self._started:
            return
        inputs = self._inputs("search")
        self.target.set_reference(
            self._source, inputs, self.task.batch_size, self._logs.log("source.log")
        )
        self._started = True
        # Goes on beside the source model's outputs, which nobody times.
        self._worker.preload(preload.building(self.task.info, self.backend_names()))
        for split in ("search", "confirm"):
            self._data(split).judge.check()

    def evaluate(self, recipe: Recipe, *, always_timed: bool = False) -> Evaluation:
        """Build and measure ``recipe`` through the gates, or with its latency in any case.

        Raises:
            HamerspaceError: It could not be tried, for a reason that says nothing of it.
        """
        self.start()
        started = time.monotonic()
        self.target.expect(recipe.backend, self._logs.recipe_log(recipe, "measure.log"))
        built = self.build(recipe)
        if built.ranking is not None:
            keep_ranking(self._folder, built.ranking)
        seconds = built.seconds or {"build": time.monotonic() - started}
        if built.candidate is None:
            failed = Measurement(Gate.BUILD, built.error, failed=True)
            return Evaluation(recipe, failed, seconds, built.reused, built.key)
        plan = self.plan(recipe, "search", gated=True, always_timed=always_timed)
        measurement = self._measure(built.candidate, recipe, plan)
        left = tuple(built.candidate.metadata.get("left_in_float", ()))
        return Evaluation(recipe, measurement, built.seconds, built.reused, built.key, left)

    def build(self, recipe: Recipe) -> BuildResult:
        """Build ``recipe``, or take it from the store, which keeps it until the next build."""
        self._holds.mark_used()
        return self.builder.build(recipe, self._logs.recipe_log(recipe, "build.log"))

    def candidate(self, recipe: Recipe, whose: str) -> Candidate:
        """What :meth:`build` made.

        Raises:
            ConfigError: It cannot be built; ``whose`` says what it is.
        """
        built = self.build(recipe)
        if built.candidate is None:
            raise ConfigError(f"{whose} cannot be built: {built.error}")
        return built.candidate

    def technique_model(self, recipe: Recipe, model_format: str) -> ModelArtifact | None:
        """What the recipe's techniques leave, where it has this format: see the builder."""
        log = self._logs.recipe_log(recipe, "build.log")
        return self.builder.technique_model(recipe, model_format, log)

    def confirm(self, recipe: Recipe, confidence: float = CONFIDENCE) -> Measurement:
        """Measure a recipe in full on the confirm split; the intervals have this confidence."""
        self.start()
        self.target.expect(recipe.backend, self._logs.recipe_log(recipe, "measure.log"))
        built = self.build(recipe)
        if built.candidate is None:
            return Measurement(Gate.BUILD, built.error, failed=True)
        plan = self.plan(recipe, "confirm", gated=False, confidence=confidence)
        return self._measure(built.candidate, recipe, plan)

    def time_afresh(self, recipe: Recipe | None, pair: int, max_s: float = 1.0) -> Latency:
        """Latency of a recipe, or of the source model, in a pair of fresh processes.

        Raises:
            SourceSessionError: The source model cannot be loaded or run.
            SessionError: The recipe cannot.
            ConfigError: The recipe cannot be built.
        """
        self.start()
        built = None if recipe is None else self.candidate(recipe, "a confirmed recipe")
        self.settle()
        plan = LatencyPlan(0.02, max_s, max_s / 4)
        return self.target.time_afresh(built, plan, pair)

    def close(self) -> None:
        """End every process and keep the store within its bound, each whatever the others raise."""
        with ExitStack() as last:
            if self._own_logs is not None:
                last.callback(self._own_logs.cleanup)
            last.callback(self._store.evict)
            last.callback(self._holds.release)
            if "builder" in self.__dict__:
                last.callback(self.builder.close)
            if "target" in self.__dict__:
                last.callback(self.target.close)
            for data in self._sets.values():
                last.callback(data.judge.close)
            for worker in (self._worker, *self._tool_workers.values()):
                last.callback(worker.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _measure(self, candidate: Candidate, recipe: Recipe, plan: MeasurementPlan) -> Measurement:
        log = self._logs.recipe_log(recipe, "measure.log")
        self.settle()
        used = [*(candidate.folder / name for name in candidate.files), *self.task.files()]
        try:
            measurement = self.target.measure(candidate, plan, log)
        except OSError:
            refuse_lost(used)
            raise
        if measurement.failed:
            refuse_lost(used)
        return measurement

    def plan(
        self,
        recipe: Recipe,
        split: str,
        *,
        gated: bool,
        always_timed: bool = False,
        confidence: float = CONFIDENCE,
    ) -> MeasurementPlan:
        """How a candidate of ``recipe`` is measured on a split."""
        reference = self.source_measurement.latency
        assert reference is not None
        reference_ms = reference.latency_ms.estimate
        data, batch_size = self._data(split), self.task.batch_size
        counts = looks(data.rows, batch_size, data.judge.first_look)
        gates = Gates(
            self.constraints,
            counts,
            gated,
            full=LatencyPlan() if gated else LatencyPlan(0.02, 2.0, 0.5, confidence),
            download=self._counts_download(recipe),
            always_timed=always_timed,
            look_first=look_takes_less(counts[0], batch_size, reference_ms, SHORT),
            confidence=confidence,
        )
        return MeasurementPlan(data, batch_size, reference_ms, gates)

    def reads(self) -> dict[str, str]:
        """Path from the study's folder to digest, of what its code has read so far."""
        judges = [data.judge for data in self._sets.values()]
        return {
            **self.task.reads,
            **{n: d for j in judges for n, d in j.reads(self.task.root).items()},
        }

    def first_look(self, split: str) -> int:
        """Rows of a split from which on its quality is looked at."""
        return self._data(split).judge.first_look

    def _counts_download(self, recipe: Recipe | None) -> bool:
        """Compressing large files takes seconds, so only where it is asked for or tells much."""
        asked = Objective.DOWNLOAD in self.config.objectives
        limited = self.constraints.max_download_mb is not None
        return asked or limited or (recipe is not None and "sparsify.ratio" in recipe.parameters)

    @cached_property
    def _source(self) -> Candidate:
        """The source model as its user runs it."""
        model = self.task.source
        missing = []
        for name in BACKENDS:
            config = BACKENDS.load(name)
            if model.format not in (*config.model_formats, *config.source_formats):
                continue
            if config.missing():
                missing.append(config.hint())
                continue
            try:
                return config.create().wrap_source(model)
            except BuildError:
                continue
        hint = f"; {' or '.join(missing)}" if missing else ""
        raise BackendUnavailableError(f"no backend runs a model of format '{model.format}'{hint}")

    def _data(self, split: str) -> EvaluationSet:
        """A split with its judge; the source model's outputs on it are computed on first use."""
        if split not in self._sets:
            self._sets[split] = self._evaluation_set(split)
        return self._sets[split]

    def _evaluation_set(self, split: str) -> EvaluationSet:
        task = self.task
        labels = task.splits.labels_of(split) if self.metric.needs_labels else None
        given = self.config.task.data
        together = task.batch_size if given is not None and given.whole_batches else 1
        outputs = self._source_outputs(split)
        judge = Judge(self.metric, labels, outputs, together)
        if isinstance(self.metric, FunctionMetric):
            log = self._logs.log("metric.log")
            limits = JudgeLimits(self.config.budget.measure_timeout_s, default_limit_mb(), log)
            judge = RemoteJudge(self.metric, labels, outputs, together, limits=limits)
        return EvaluationSet(self._inputs(split), task.splits.rows[split], judge, task.output)

    def _inputs(self, split: str) -> dict[str, str]:
        return self.task.splits.input_paths(split)

    def _source_outputs(self, split: str) -> Any:
        """The source model's outputs, computed once for all studies of the task."""
        task = self.task
        config = BACKENDS.load(self._source.backend)
        key = content_key(
            kind="source outputs",
            source=task.source_fingerprint,
            data=task.splits.fingerprint_of(split),
            batch_size=task.batch_size,
            output=task.output,
            row_axis=task.judged.row_axis,
            host=host_digest(self._host),
            versions=config.versions(),
            code=code_digest(config.implementation.partition(":")[0]),
        )

        def fill(scratch: Path) -> None:
            self.start()
            outputs = self.target.reference_outputs(
                self._inputs(split), task.splits.rows[split], task.batch_size, task.output
            )
            if np.isnan(outputs).any():
                rows = int(np.isnan(outputs.reshape(len(outputs), -1)).any(axis=1).sum())
                raise SourceError(
                    f"output '{task.output}' of the source model is NaN for {rows:,} of "
                    f"{len(outputs):,} rows of the {split} split; check the weights, and the data "
                    "for values that the model does not take"
                )
            np.save(scratch / "outputs.npy", outputs)

        entry = self._store.make(key, fill, self._holds)
        return np.load(entry / "outputs.npy", mmap_mode="r")
