"""What builds and measures the recipes of one study."""

import tempfile
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hamerspace import _numbers
from hamerspace.backends import BACKENDS
from hamerspace.backends.candidate import Candidate
from hamerspace.build import preload
from hamerspace.build.builder import Builder, BuildResult
from hamerspace.build.faults import refuse_lost
from hamerspace.build.stages import host_digest
from hamerspace.build.store import content_key
from hamerspace.build.versions import code_digest
from hamerspace.build.worker import Worker
from hamerspace.compress import TECHNIQUES
from hamerspace.environments import environment_python, install_hint
from hamerspace.errors import BuildError, ConfigError, SourceError
from hamerspace.measure.judging import JudgeLimits, RemoteJudge
from hamerspace.measure.latency import LatencyPlan
from hamerspace.measure.memory import default_limit_mb
from hamerspace.measure.protocol import SHORT, Gates, MeasurementPlan, look_takes_less
from hamerspace.measure.quality import Judge, looks
from hamerspace.measure.size import deflated_bytes
from hamerspace.measure.statistics import CONFIDENCE
from hamerspace.measure.steps import EvaluationSet
from hamerspace.outcome.interval import Interval
from hamerspace.outcome.measurement import Gate, Latency, Measurement
from hamerspace.outcome.record import Evaluation
from hamerspace.quantities import Objective
from hamerspace.recipe import Recipe
from hamerspace.search.prepared import Prepared
from hamerspace.search.rankings import keep_ranking
from hamerspace.search.run_folder import SOURCE_FILE, RunFolder
from hamerspace.search.stages import StoredStages
from hamerspace.targets import Measurer
from hamerspace.tasks.metrics import Metric, drop_unit
from hamerspace.tasks.metrics.base import of_classes
from hamerspace.tasks.metrics.fidelity import FIDELITY_R2, FidelityOfAll, scores_doubt
from hamerspace.tasks.metrics.resolve import FunctionMetric
from hamerspace.tasks.metrics.rows import blocks
from hamerspace.tasks.model import SAME, ModelArtifact, TensorSpec


class Workbench(ExitStack):
    """Builds and measures the recipes of one study; close it when done.

    Closing it ends what was started here, each whatever the others raise.

    Args:
        prepared: The study; it is closed after the bench, by who made it.
        folder: Of the run, for logs, rankings and what is measured of the source model. Without
            one, and of one that may only be read, logs last as long as the bench.
    """

    def __init__(self, prepared: Prepared, folder: RunFolder | None = None) -> None:
        super().__init__()
        self.prepared = prepared
        self.config = prepared.config
        if folder is not None and folder.is_writable:
            self._logs = folder
        else:
            self._logs = RunFolder(Path(self.enter_context(tempfile.TemporaryDirectory())))
        self._folder = folder or self._logs
        self._tool_workers: dict[str, Worker] = {}
        self._started = False
        self._sets: dict[str, EvaluationSet] = {}

    @cached_property
    def measurer(self) -> Measurer:
        """Measures on the target, beside the source model."""
        known, log = self.prepared, self._logs.log("source.log")
        inputs, batch_size = self._inputs("search"), known.task.batch_size
        measurer = Measurer(known.target, known.source, inputs, batch_size, log)
        return self.enter_context(closing(measurer))

    @cached_property
    def _builder(self) -> Builder:
        budget = self.config.budget
        builder = Builder(
            self.prepared.task,
            self.prepared.store,
            self._worker_of,
            self.config.search.seed,
            lambda: self.prepared.host,
            budget.build_timeout_s,
            budget.build_memory_mb,
        )
        return self.enter_context(closing(builder))

    @cached_property
    def stages(self) -> StoredStages:
        """Which build stages of a recipe are built already."""
        return StoredStages(self._builder)

    def settle(self) -> None:
        """Wait until no worker imports anything any more, so that something can be timed."""
        for worker in (self.prepared.worker, *self._tool_workers.values()):
            worker.settle()

    def _worker_of(self, environment: str | None) -> Worker:
        """The worker that runs on the interpreter of an environment."""
        if environment is None:
            return self.prepared.worker
        if environment not in self._tool_workers:
            python = environment_python(environment)
            if python is None:
                raise BuildError(f"{environment} is not installed; {install_hint(environment)}")
            worker, known = self.enter_context(Worker(python)), self.prepared
            worker.preload(preload.building(known.task.info, known.space.backends, environment))
            self._tool_workers[environment] = worker
        return self._tool_workers[environment]

    @cached_property
    def source_measurement(self) -> Measurement:
        """The source model's own figures on the search split, measured once in a study."""
        found = self._folder.read(SOURCE_FILE)
        if found is not None:
            return Measurement.from_dict(found["measurement"])
        self.start()
        judge, known = self._data("search").judge, self.prepared
        self.settle()
        plan = LatencyPlan(0.02, 2.5, 1.0, tail=self._asked(Objective.P90_LATENCY))
        plain = self.measurer.measure_source(plan)
        packed = deflated_bytes(known.source) / 1e6 if self._deflates(None) else None
        measured = replace(plain, download_mb=packed, quality=judge.judge_source())
        found = {"measurement": measured, "environment": known.target.environment()}
        self._folder.write(SOURCE_FILE, found)
        return measured

    def drop_of_source(self, split: str, confidence: float) -> Interval:
        """The drop of a candidate that answers each row as the source model does."""
        return self._data(split).judge.judge_source(confidence).drop

    @property
    def source_values(self) -> dict[str, float]:
        """The source model's value of every objective."""
        return self.source_measurement.observed()

    @cached_property
    def metric(self) -> Metric:
        """The judge of quality.

        Where a study names none and there are no labels, the source model's outputs decide
        whether they are scores of classes, as their shape alone does not tell.
        """
        metric = self.prepared.task.metric
        if isinstance(metric, FidelityOfAll):
            return metric.knowing([s.name for s, doubt in self._doubts.items() if not doubt])
        return FIDELITY_R2 if any(self._doubts.values()) else metric

    @cached_property
    def _doubts(self) -> dict[TensorSpec, str]:
        """Why outputs of the shape of class scores hold none; empty text where they may.

        Nothing where the metric or the labels leave no question.
        """
        task = self.prepared.task
        if not task.metric.all_outputs and (task.quality.metric or task.metric.name != "agreement"):
            return {}
        return {
            spec: scores_doubt(self._source_outputs("search", spec))
            for spec in task.looked_at(task.metric)
            if of_classes(spec.rows_first.shape, spec.dtype) == "scores"
            and task.info.findings.unfit.get(spec.name) != SAME
        }

    @property
    def metric_reasons(self) -> list[str]:
        """What was assumed of outputs, in sentences."""
        return [self._reason(spec, doubt) for spec, doubt in self._doubts.items()]

    def _reason(self, output: TensorSpec, doubt: str) -> str:
        several = self.metric.all_outputs
        if doubt:
            judge = "it is judged as numbers" if several else f"quality is {self.metric.name}"
            return (
                f"Output {output} is not taken for scores of classes, since {doubt}: {judge}, by "
                "the worst channel."
            )
        counts = "what counts of it" if several else "quality"
        other = "its own (task.quality.output)" if several else "'fidelity_r2'"
        return (
            f"Output {output} is taken for scores of classes: {counts} is how often the same one "
            f"is the greatest. For an embedding or other numbers choose {other}."
        )

    @property
    def drop_unit(self) -> Literal["points", "%"]:
        """Unit of drops of the metric: ``%`` is of the source model's value."""
        return _numbers.drop_unit(drop_unit(self.metric, self.source_values["quality"]))

    def start(self) -> None:
        """Load the source model on the target and check the metric on its outputs.

        Raises:
            SourceError: The model runs but its outputs cannot be judged.
            MetricError: The metric does not take them.
        """
        if self._started:
            return
        self.measurer.start()
        self._started = True
        # Goes on beside the source model's outputs, which nobody times.
        known = self.prepared
        known.worker.preload(preload.building(known.task.info, known.space.backends))
        for split in ("search", "confirm"):
            self._data(split).judge.check()

    def evaluate(self, recipe: Recipe, *, always_timed: bool = False) -> Evaluation:
        """Build and measure ``recipe`` through the gates, or with its latency in any case.

        Raises:
            HamerspaceError: It could not be tried, for a reason that says nothing of it.
        """
        self.start()
        started = time.monotonic()
        built = self._built(recipe)
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
        self.prepared.holds.mark_used()
        return self._builder.build(recipe, self._logs.recipe_log(recipe, "build.log"))

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
        return self._builder.technique_model(recipe, model_format, log)

    def confirm(self, recipe: Recipe, confidence: float = CONFIDENCE) -> Measurement:
        """Measure a recipe in full on the confirm split; the intervals have this confidence."""
        built = self._built(recipe)
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
        return self.measurer.time_afresh(built, plan, pair)

    def _built(self, recipe: Recipe) -> BuildResult:
        """What :meth:`build` made, with what will measure it starting meanwhile."""
        self.start()
        self.measurer.expect(recipe.backend, self._logs.recipe_log(recipe, "measure.log"))
        return self.build(recipe)

    def _measure(self, candidate: Candidate, recipe: Recipe, plan: MeasurementPlan) -> Measurement:
        log = self._logs.recipe_log(recipe, "measure.log")
        self.settle()
        used = [*(candidate.folder / name for name in candidate.files), *self.prepared.task.files()]
        try:
            measurement = self.measurer.measure(candidate, plan, log)
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
        data, batch_size = self._data(split), self.prepared.task.batch_size
        counts = looks(data.rows, batch_size, data.judge.first_look)
        full = LatencyPlan() if gated else LatencyPlan(0.02, 2.0, 0.5, confidence)
        gates = Gates(
            self.prepared.constraints,
            counts,
            gated,
            full=replace(full, tail=self._asked(Objective.P90_LATENCY)),
            deflate=self._deflates(recipe),
            always_timed=always_timed,
            look_first=look_takes_less(counts[0], batch_size, reference_ms, SHORT),
            confidence=confidence,
        )
        return MeasurementPlan(data, batch_size, reference_ms, gates)

    def reads(self) -> dict[str, str]:
        """Path from the study's folder to digest, of what its code has read so far."""
        judges = [data.judge for data in self._sets.values()]
        return {
            **self.prepared.task.reads,
            **{n: d for j in judges for n, d in j.reads(self.prepared.task.root).items()},
        }

    def first_look(self, split: str) -> int:
        """Rows of a split from which on its quality is looked at."""
        return self._data(split).judge.first_look

    def _asked(self, objective: Objective) -> bool:
        """Whether it is improved or limited."""
        limited = objective.quantity.limit in self.prepared.constraints.limits()
        return limited or objective in self.config.objectives

    def _deflates(self, recipe: Recipe | None) -> bool:
        """Compressing large files takes seconds, so only where it is asked for or tells much."""
        sparse = (t.switch for t in TECHNIQUES.values() if t.makes_sparse)
        asked = self._asked(Objective.DOWNLOAD)
        return asked or (recipe is not None and any(n in recipe for n in sparse))

    def _data(self, split: str) -> EvaluationSet:
        """A split with its judge; the source model's outputs on it are computed on first use."""
        if split not in self._sets:
            self._sets[split] = self._evaluation_set(split)
        return self._sets[split]

    def _evaluation_set(self, split: str) -> EvaluationSet:
        task = self.prepared.task
        labels = task.splits.labels_of(split) if self.metric.needs_labels else None
        given = self.config.task.data
        together = task.batch_size if given is not None and given.whole_batches else 1
        read = {s.name: self._source_outputs(split, s) for s in task.looked_at(self.metric)}
        outputs = read if self.metric.all_outputs else read[task.output]
        judge = Judge(self.metric, labels, outputs, together)
        if isinstance(self.metric, FunctionMetric):
            log = self._logs.log("metric.log")
            limits = JudgeLimits(self.config.budget.measure_timeout_s, default_limit_mb(), log)
            judge = RemoteJudge(self.metric, labels, outputs, together, limits=limits)
        self.callback(judge.close)
        return EvaluationSet(self._inputs(split), task.splits.rows[split], judge, tuple(read))

    def _inputs(self, split: str) -> dict[str, str]:
        return self.prepared.task.splits.input_paths(split)

    def _source_outputs(self, split: str, output: TensorSpec) -> Any:
        """An output of the source model, computed once for all studies of the task."""
        task = self.prepared.task
        config = BACKENDS.load(self.prepared.source.backend)
        key = content_key(
            kind="source outputs",
            source=task.source_fingerprint,
            data=task.splits.fingerprint_of(split),
            batch_size=task.batch_size,
            output=output.name,
            row_axis=output.row_axis,
            host=host_digest(self.prepared.host),
            versions=config.versions(),
            code=code_digest(config.implementation.partition(":")[0]),
        )

        def fill(scratch: Path) -> None:
            self.start()
            path, of_rows = scratch / "outputs.npy", task.splits.rows[split]
            self.measurer.write_source_output(self._inputs(split), of_rows, output.name, path)
            found = np.load(path, mmap_mode="r").reshape(of_rows, -1)
            rows = sum(int(np.isnan(found[part]).any(axis=1).sum()) for part in blocks(found))
            if rows:
                raise SourceError(
                    f"output '{output.name}' of the source model is NaN for {rows:,} of "
                    f"{of_rows:,} rows of the {split} split; check the weights, and the data for "
                    "values that the model does not take"
                )

        entry = self.prepared.store.make(key, fill, self.prepared.holds)
        return np.load(entry / "outputs.npy", mmap_mode="r")
