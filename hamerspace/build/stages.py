"""The stages of a recipe and the keys of their results, known without importing a framework."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from hamerspace.backends import BACKENDS
from hamerspace.backends.base import Host
from hamerspace.build.store import content_key
from hamerspace.build.versions import code_digest
from hamerspace.compress import TECHNIQUES
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
    stages: list[Stage] = []
    model_format, key, technique_format = task.source.format, task.source_fingerprint, ""
    calibration = task.splits.fingerprint_of("calibration")
    calibrated: dict[str, Any] = {"calibration": calibration, "batch_size": task.batch_size}

    def convert_to(formats: Sequence[str], whose: str) -> None:
        nonlocal model_format, key
        route = find_route(model_format, formats, task.info)
        if isinstance(route, NoRoute):
            raise BuildError(f"{whose} cannot take this model: {route.reason}")
        for step in route.steps:
            key = content_key(
                parent=key,
                kind="convert",
                origin=step.origin,
                name=step.target,
                versions=step.versions(),
                code=code_digest(type(step).__module__),
                **calibrated,
            )
            stages.append(Stage("convert", step.target, {}, key, step.environment))
            model_format = step.target

    for technique in TECHNIQUES.values():
        parameters = technique.stage_parameters(recipe.parameters)
        if parameters is None:
            continue
        convert_to(technique.formats, technique.name)
        trains = technique.needs_training_data
        key = content_key(
            parent=key,
            kind="technique",
            name=technique.name,
            parameters=parameters,
            data=task.splits.fingerprint_of("train") if trains else "",
            loss=task.loss,
            output=task.output if trains else "",
            seed=seed,
            versions=technique.versions(),
            code=code_digest(type(technique).__module__),
        )
        stages.append(Stage("technique", technique.name, parameters, key))
        model_format = technique_format = technique.result_format or model_format

    config = BACKENDS.load(recipe.backend)
    convert_to(config.model_formats, config.title)
    built, runtime = config.split(recipe.parameters)
    decides = {
        "parent": key,
        "name": config.name,
        "versions": config.versions(),
        "code": code_digest(config.implementation.partition(":")[0]),
        **calibrated,
    }
    ranked = config.sensitivity_parameters(built)
    if ranked is not None:
        key = content_key(kind="sensitivity", parameters=ranked, **decides)
        stages.append(Stage("sensitivity", config.name, ranked, key, config.environment))
    if config.compiles_for_host(built):
        decides["host"] = host_digest(host())
    key = content_key(kind="backend", parameters=built, **decides)
    stages.append(Stage("backend", config.name, built, key, config.environment))
    return BuildPlan(tuple(stages), runtime, technique_format)


def host_digest(host: Host) -> str:
    """Digest of what machine code may rely on: the instructions of the processor, and the GPU."""
    return content_key(
        machine=host.machine,
        cpu_flags=sorted(host.cpu_flags),
        gpu=host.gpu,
        compute_capability=list(host.compute_capability),
    )
