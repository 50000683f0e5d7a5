"""The contract of a technique: framework-side work on a model before any backend sees it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

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


class Technique(ABC):
    """One build stage that changes a model before any backend sees it.

    Attributes:
        name: Registry name, and the prefix of its first parameter.
        formats: Formats of the models that it takes, best first; the build converts others.
        result_format: Format of what it makes, where that is another than what it takes.
        modules: Modules that must be importable.
        extra: The extra that brings them.
        distributions: Package names whose versions enter the store's keys.
        needs_training_data: Whether :meth:`apply` needs the train split.
    """

    name: str
    modules: tuple[str, ...]
    extra: str
    distributions: tuple[str, ...]
    needs_training_data: bool = False
    formats: tuple[str, ...] = ("pytorch",)
    result_format: str | None = None

    def missing(self) -> tuple[str, ...]:
        """Modules that are not installed."""
        return tuple(name for name in self.modules if find_spec(name) is None)

    @abstractmethod
    def parameters(self) -> tuple[Parameter, ...]:
        """Every choice, with its legal values and conditions."""

    @abstractmethod
    def capabilities(self, source: SourceInfo, loss: str | None) -> tuple[Mask, ...]:
        """What cannot be done to ``source``, with the reasons.

        Args:
            source: The inspected model.
            loss: As in :class:`TrainingData`, or ``None`` where there is no train split.
        """

    @abstractmethod
    def stage_parameters(self, recipe: Mapping[str, Scalar]) -> dict[str, Scalar] | None:
        """The parameters of this stage in ``recipe``; ``None`` where the stage does nothing."""

    @abstractmethod
    def apply(
        self,
        source: ModelArtifact,
        model: ModelArtifact,
        parameters: Mapping[str, Scalar],
        data: TrainingData | None,
        workdir: Path,
        seed: int,
    ) -> ModelArtifact:
        """Write the changed model into ``workdir`` and return it.

        Args:
            source: The teacher: the source model, or what it was when it first was of the
                format of ``model``.
            model: What the stages before made of it.
            parameters: What :meth:`stage_parameters` returned.
            data: The train split, where there is one.
            workdir: An empty folder, also the current directory.
            seed: Seeds every random draw.
        """
