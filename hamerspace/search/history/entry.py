"""What is kept of a finished study: nothing of its data, and no path."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from hamerspace.recipe import Scalar

VERSION: Literal[1] = 1

Finite = Annotated[float, Field(allow_inf_nan=False)]
Ratio = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Setting(_Part):
    """What decides whether one study's recipes suit another.

    Attributes:
        format: Of the source model.
        op_families: As in :class:`~hamerspace.tasks.model.SourceInfo`.
        parameters: Number of scalar weights.
        hardware: ``cpu`` or ``gpu``.
        machine: As ``platform.machine()`` says.
        gpu: Name of the GPU; empty without one.
        threads: Of one inference.
        batch_size: The deployment batch size.
        metric: Name of the quality metric.
        objectives: What was improved.
        limits: Limit to its value.
    """

    format: str
    op_families: tuple[str, ...]
    parameters: Annotated[int, Field(ge=0)]
    hardware: str
    machine: str
    gpu: str
    threads: int
    batch_size: int
    metric: str
    objectives: tuple[str, ...]
    limits: dict[str, Finite]


class Tried(_Part):
    """A confirmed recipe, its figures on the search split against the source model's.

    Attributes:
        parameters: Of the recipe.
        latency_ratio: Latency over the source model's.
        size_ratio: Size over the source model's.
        drop_points: Loss of quality, in the metric's unit of drops.
        winner: Whether it was chosen.
    """

    parameters: dict[str, Scalar]
    latency_ratio: Ratio
    size_ratio: Ratio
    drop_points: Finite
    winner: bool = False


class Entry(_Part):
    """A finished study.

    Attributes:
        name: Of the study.
        finished: When, in UTC, as ISO 8601 writes it.
        identity: Digest of what must not change between its runs: the same study replaces its
            own entry.
        setting: What it was about.
        recipes: Those that were confirmed and did not miss a limit, the winner first.
    """

    name: str
    finished: str
    identity: str
    setting: Setting
    recipes: tuple[Tried, ...]


class Document(_Part):
    """The whole file, the latest study last."""

    version: Literal[1] = VERSION
    studies: tuple[Entry, ...] = ()
