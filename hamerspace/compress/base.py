"""The contract of a technique: framework-side work on a model before any backend sees it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from hamerspace.environments import Requirements
from hamerspace.errors import BuildError, HamerspaceError
from hamerspace.recipe import Mask, Parameter, Scalar
from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo


@dataclass(frozen=True)
class TrainingData:
    """What a technique may learn from.

    Attributes:
        arrays: The train split, memory-mapped: inputs by name, and ``labels`` where there are any.
        inputs: Names of the arrays that are inputs.
        loss: ``cross_entropy``, ``binary_cross_entropy``, ``mse``, or ``none`` where only the
            source model teaches: there are no labels, or no loss fits them.
        output: Name of the output that is judged, which is the one to train; default: the first.
        row_axis: Its axis of the rows.
    """

    arrays: Arrays
    inputs: tuple[str, ...]
    loss: str
    output: str = ""
    row_axis: int = 0


@dataclass(frozen=True)
class TechniqueJob:
    """What to change, and how: one value, so that it can grow.

    Attributes:
        source: The teacher: the source model, or what it was when it first was of the format of
            ``model``.
        model: What the stages before made of it, in one of the technique's ``formats``.
        parameters: What :meth:`Technique.stage_parameters` returned.
        data: The train split; given where :attr:`Technique.needs_training_data`.
        workdir: An empty folder, also the current directory.
        seed: Seeds every random draw.
    """

    source: ModelArtifact
    model: ModelArtifact
    parameters: Mapping[str, Scalar]
    data: TrainingData | None
    workdir: Path
    seed: int

    @property
    def training(self) -> TrainingData:
        """The train split of a technique that needs one."""
        assert self.data is not None
        return self.data


class Technique(Requirements, ABC):
    """One build stage that changes a model before any backend sees it.

    :meth:`change` is the hook of :meth:`apply`.

    Attributes:
        name: Registry name, and the prefix of its own parameters.
        formats: Formats of the models that it takes, best first; the build converts others.
        result_format: Format of what it makes, where that is another than what it takes.
        needs_training_data: Whether :meth:`apply` needs the train split.
        lowers_precision: Whether it belongs to quantization, rather than to smaller models.
        makes_sparse: Whether files compress better by it than their size tells.
        model_suffix: Of the files that it leaves, where no backend builds such files and users may
            ask for one.
        typical_s: Wall seconds that it is expected to take, before any was seen.
        goals: The goals that switching it on serves, each with what is searched of it where the
            space does not say.
        demands: What a goal fixes of it, whatever the space says.
    """

    name: str
    needs_training_data: bool = False
    formats: tuple[str, ...] = ("pytorch",)
    result_format: str | None = None
    lowers_precision: bool = False
    makes_sparse: bool = False
    model_suffix: str = ""
    typical_s: float = 10.0
    goals: ClassVar[Mapping[str, Mapping[str, tuple[Scalar, ...]]]] = {}
    demands: ClassVar[Mapping[str, Mapping[str, tuple[Scalar, ...]]]] = {}

    @property
    def made_format(self) -> str:
        """Format of what it makes of the best that it takes."""
        return self.result_format or self.formats[0]

    @property
    def switch(self) -> str:
        """Name of the parameter that switches it on."""
        return self.parameters()[0].name

    @abstractmethod
    def parameters(self) -> tuple[Parameter, ...]:
        """Every choice, with its legal values and conditions.

        The first switches the technique on: its default does nothing.
        """

    @abstractmethod
    def capabilities(self, source: SourceInfo, loss: str | None) -> tuple[Mask, ...]:
        """What cannot be done to ``source``, with the reasons.

        Args:
            source: The inspected model.
            loss: As in :class:`TrainingData`, or ``None`` where there is no train split.
        """

    def stage_parameters(self, recipe: Mapping[str, Scalar]) -> dict[str, Scalar] | None:
        """What of ``recipe`` decides the result; ``None`` where the stage does nothing.

        By default the technique's own parameters that are active, missing ones at their defaults.
        """
        own = [p for p in self.parameters() if p.name.startswith(f"{self.name}.")]
        switch = own[0]
        if recipe.get(switch.name, switch.default) == switch.default:
            return None
        active = (p for p in own if p is switch or p.active(recipe))
        return {p.name: recipe.get(p.name, p.default) for p in active}

    def apply(self, job: TechniqueJob) -> ModelArtifact:
        """Write the changed model and its manifest into the job's folder, and return it.

        Raises:
            BuildError: The model is of another format, there is no train split, or this model
                cannot be changed so. What else :meth:`change` raises, but for want of memory,
                becomes one.
        """
        if job.model.format not in self.formats:
            formats = " or ".join(self.formats)
            raise BuildError(f"{self.name} takes {formats} models, not {job.model.format}")
        if self.needs_training_data and job.data is None:
            raise BuildError(f"{self.name} needs a train split; add one to task.data")
        try:
            return self.change(job).save()
        except (HamerspaceError, MemoryError):
            raise
        except Exception as error:
            raise BuildError(f"{type(error).__name__}: {error}") from error

    @abstractmethod
    def change(self, job: TechniqueJob) -> ModelArtifact:
        """Write the changed model into the job's folder and return it."""
