"""The stages of a recipe and the keys of their results, known without importing a framework."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from hamerspace.backends import BACKENDS
from hamerspace.backends.base import BackendConfig, Host
from hamerspace.build.store import content_key
from hamerspace.build.versions import code_digest
from hamerspace.compress import TECHNIQUES, Technique
from hamerspace.errors import BuildError
from hamerspace.recipe import Recipe, Scalar
from hamerspace.tasks.conversions.routes import NoRoute, find_route
from hamerspace.tasks.task import Task

StageKind = Literal["technique", "convert", "sensitivity", "backend"]


@dataclass(frozen=True)
class Stage:
    """One build step.

    Attributes:
        kind: A technique, a change of format, a ranking of layers, or a backend's build.
        name: Of the technique, the format, or the backend.
        parameters: What the step gets of the recipe.
        key: Of its result in the store.
        environment: Name of the tool environment it runs in; ``None`` for our own.
    """

    kind: StageKind
    name: str
    parameters: dict[str, Scalar]
    key: str
    environment: str | None = None

    @property
    def label(self) -> str:
        """For logs and reports: ``prune``, ``export onnx``, ``build openvino``."""
        prefix = {"convert": "export ", "sensitivity": "rank layers ", "backend": "build "}
        return prefix.get(self.kind, "") + self.name

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "label": self.label}


@dataclass(frozen=True)
class BuildPlan:
    """The stages of a recipe, and the options with which its candidate is run.

    Attributes:
        stages: In order.
        runtime: Options of the load.
        technique_format: Format of the model that the last technique leaves; empty without one.
    """

    stages: tuple[Stage, ...]
    runtime: dict[str, Scalar]
    technique_format: str = ""

    @property
    def techniques(self) -> tuple[Stage, ...]:
        """The stages up to the last technique: the model before any backend sees it."""
        last = max((i for i, s in enumerate(self.stages) if s.kind == "technique"), default=-1)
        return self.stages[: last + 1]


HostOf = Callable[[], Host]
"""Tells the device that builds are for; asked only where that makes a difference."""


def plan_build(task: Task, recipe: Recipe, seed: int, host: HostOf) -> BuildPlan:
    """Return the stages of ``recipe`` in order.

    Args:
        task: The prepared task.
        recipe: What to build.
        seed: Of every random draw in a stage.
        host: The device that it is built on and for.

    Raises:
        BuildError: The model cannot be converted to a format that a stage takes.
    """
    plan = _Plan(task, seed, host)
    for technique in TECHNIQUES.values():
        parameters = technique.stage_parameters(recipe.parameters)
        if parameters is not None:
            plan.add_technique(technique, parameters)
    return plan.finish(BACKENDS.load(recipe.backend), recipe)


class _Plan:
    """The stages so far, and the format and the key of the model that they leave."""

    def __init__(self, task: Task, seed: int, host: HostOf) -> None:
        self._task = task
        self._seed = seed
        self._host = host
        self._stages: list[Stage] = []
        self._format = task.source.format
        self._technique_format = ""
        self._key = task.source_fingerprint

    def add_technique(self, technique: Technique, parameters: dict[str, Scalar]) -> None:
        self._convert_to(technique.formats, technique.name)
        task, trains = self._task, technique.needs_training_data
        self._key = content_key(
            parent=self._key,
            kind="technique",
            name=technique.name,
            parameters=parameters,
            data=task.splits.fingerprint_of("train") if trains else "",
            loss=task.loss,
            output=task.output if trains else "",
            seed=self._seed,
            versions=technique.versions(),
            code=code_digest(type(technique).__module__),
        )
        self._stages.append(Stage("technique", technique.name, parameters, self._key))
        self._format = self._technique_format = technique.result_format or self._format

    def finish(self, config: BackendConfig, recipe: Recipe) -> BuildPlan:
        """Add the backend's stages."""
        self._convert_to(config.model_formats, config.title)
        parameters, runtime = config.split(recipe.parameters)
        model_key = self._key
        decides = {
            "parent": model_key,
            "name": config.name,
            "calibration": self._task.splits.fingerprint_of("calibration"),
            "batch_size": self._task.batch_size,
            "versions": config.versions(),
            "code": code_digest(config.implementation.partition(":")[0]),
        }
        ranking = config.sensitivity_parameters(parameters)
        if ranking is not None:
            key = content_key(kind="sensitivity", parameters=ranking, **decides)
            self._stages.append(Stage("sensitivity", config.name, ranking, key, config.environment))
        if config.compiles_for_host(parameters):
            decides["host"] = host_digest(self._host())
        key = content_key(kind="backend", parameters=parameters, **decides)
        self._stages.append(Stage("backend", config.name, parameters, key, config.environment))
        return BuildPlan(tuple(self._stages), runtime, self._technique_format)

    def _convert_to(self, formats: Sequence[str], whose: str) -> None:
        route = find_route(self._format, formats, self._task.info)
        if isinstance(route, NoRoute):
            raise BuildError(f"{whose} cannot take this model: {route.reason}")
        for step in route.steps:
            self._key = content_key(
                parent=self._key,
                kind="convert",
                origin=step.origin,
                name=step.target,
                calibration=self._task.splits.fingerprint_of("calibration"),
                batch_size=self._task.batch_size,
                versions=step.versions(),
                code=code_digest(type(step).__module__),
            )
            self._stages.append(Stage("convert", step.target, {}, self._key, step.environment))
            self._format = step.target


def host_digest(host: Host) -> str:
    """Digest of what machine code may rely on: the instructions of the processor, and the GPU."""
    return content_key(
        machine=host.machine,
        cpu_flags=sorted(host.cpu_flags),
        gpu=host.gpu,
        compute_capability=list(host.compute_capability),
    )
