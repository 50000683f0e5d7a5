"""What the JSON files of a run folder hold, as far as anything reads it.

Further keys are passed over, so that runs of other versions can be read.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel

from hamerspace.config.study import LoadedStudy
from hamerspace.outcome.confirmed import Confirmed
from hamerspace.outcome.measurement import Measurement
from hamerspace.recipe import Mask, Scalar


class _Identity(BaseModel):
    backends: list[str] | None = None


class _Details(BaseModel):
    files: dict[str, str] = {}
    space: dict[str, str] | None = None


class Run(BaseModel):
    """``run.json``: what must stay the same, the study, and how it was begun."""

    name: str = ""
    identity: _Identity = _Identity()
    details: _Details = _Details()
    reads: dict[str, str] = {}
    study: LoadedStudy
    storage: str | None = None
    command: str = ""


class Source(BaseModel):
    """``source.json``: the source model's own figures, and where they were taken."""

    measurement: Measurement
    environment: dict[str, str] = {}


class _Metric(BaseModel):
    name: str
    direction: Literal["maximize", "minimize"]
    drop_unit: Literal["points", "relative"]


class _Model(BaseModel):
    format: str
    parameters: int
    op_families: list[str] = []
    inputs: list[str] = []
    outputs: list[str] = []


class _Space(BaseModel):
    name: str
    recipes: int | None = None
    why: str = ""


class Facts(BaseModel):
    """``facts.json``: what a report tells of the task and the space."""

    metric: _Metric
    notes: list[str] = []
    warnings: list[str] = []
    smallest_drop: float | None = None
    rows: dict[str, int] = {}
    source: _Model
    space: _Space
    masks: list[Mask] = []
    versions: dict[str, str] = {}
    choices: dict[str, str] = {}
    conditions: dict[str, str] = {}
    content: str = ""
    precisions: dict[str, str] = {}


class _Stopped(BaseModel):
    reason: str
    min_gain_percent: float | None


class Result(BaseModel):
    """``result.json``: what the last search ended with."""

    trials: int
    finished: int
    stopped_because: str = ""
    stopped: _Stopped | None = None
    winner: int | None
    nearest_to_source: int | None = None
    confirmed: list[Confirmed]
    search_s: float | None = None
    confirm_s: float | None = None


class _Layer(BaseModel):
    layer: str
    error: float


def _with_backend(parameters: dict[str, Scalar]) -> dict[str, Scalar]:
    if not isinstance(parameters.get("backend"), str):
        raise ValueError("names no 'backend'")  # noqa: TRY004 - pydantic takes it
    return parameters


class _Ranking(BaseModel):
    parameters: Annotated[dict[str, Scalar], AfterValidator(_with_backend)]
    layers: list[_Layer]


SCHEMAS: dict[str, Any] = {
    "run.json": Run,
    "source.json": Source,
    "facts.json": Facts,
    "result.json": Result,
    "sensitivity.json": dict[str, _Ranking],  # by their keys in the store
}
"""Name of a file to what it holds."""
