"""The stages of a recipe and the keys of their results, known without importing a framework."""

from dataclasses import dataclass
from typing import Any, Literal

from hamerspace.backends import BACKENDS
from hamerspace.build.store import content_key
from hamerspace.build.versions import code_digest, installed_versions
from hamerspace.compress import TECHNIQUES
from hamerspace.errors import BuildError
from hamerspace.recipe import Recipe, Scalar
from hamerspace.tasks.convert import DISTRIBUTIONS, can_convert
from hamerspace.tasks.task import Task


@dataclass(frozen=True)
class Stage:
    """One build step.

    Attributes:
        kind: A technique, a change of format, or a backend's build.
        name: Of the technique, the format, or the backend.
        parameters: What the step gets of the recipe.
        key: Of its result in the store.
    """

    kind: Literal["technique", "convert", "backend"]
    name: str
    parameters: dict[str, Scalar]
    key: str

    @property
    def label(self) -> str:
        """For logs and reports: ``prune``, ``export onnx``, ``build openvino``."""
        prefix = {"technique": "", "convert": "export ", "backend": "build "}[self.kind]
        return prefix + self.name


@dataclass(frozen=True)
class BuildPlan:
    """The stages of a recipe, and the options with which its candidate is run."""

    stages: tuple[Stage, ...]
    runtime: dict[str, Scalar]


def plan_build(task: Task, recipe: Recipe, seed: int) -> BuildPlan:
    """Return the stages of ``recipe`` in order.

    Raises:
        BuildError: The backend takes no format that the model can be converted to.
    """
    stages: list[Stage] = []
    key = task.source_fingerprint

    def add(kind: Literal["technique", "convert", "backend"], name: str, **decides: Any) -> None:
        nonlocal key
        key = content_key(parent=key, kind=kind, name=name, **decides)
        stages.append(Stage(kind, name, decides.get("parameters", {}), key))

    for name in TECHNIQUES:
        technique = TECHNIQUES.load(name)
        parameters = technique.stage_parameters(recipe.parameters)
        if parameters is not None:
            data = task.splits.fingerprint_of("train") if technique.needs_training_data else ""
            add(
                "technique",
                name,
                parameters=parameters,
                data=data,
                loss=task.loss,
                output=task.output if technique.needs_training_data else "",
                seed=seed,
                versions=installed_versions(technique.distributions),
                code=code_digest(type(technique).__module__),
            )
    config = BACKENDS.load(recipe.backend)
    model_format = task.source.format
    if model_format not in config.model_formats:
        target = next((f for f in config.model_formats if can_convert(model_format, f)), None)
        if target is None:
            raise BuildError(f"{config.title} cannot take a model of format '{model_format}'")
        versions = installed_versions(DISTRIBUTIONS)
        add("convert", target, versions=versions, code=code_digest("hamerspace.tasks.convert"))
    prefix = f"{config.name}."
    own = {p.name: p for p in config.parameters()}
    chosen = {n: v for n, v in recipe.parameters.items() if n in own}
    add(
        "backend",
        config.name,
        parameters={n.removeprefix(prefix): v for n, v in chosen.items() if not own[n].runtime},
        calibration=task.splits.fingerprint_of("calibration"),
        batch_size=task.batch_size,
        versions=config.versions(),
        code=code_digest(config.implementation.partition(":")[0]),
    )
    runtime = {n.removeprefix(prefix): v for n, v in chosen.items() if own[n].runtime}
    return BuildPlan(tuple(stages), runtime)
