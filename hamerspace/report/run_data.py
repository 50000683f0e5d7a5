"""The plain values that a report is made of.

``values`` mappings share one set of keys, :data:`hamerspace.quantities.FIGURES`; a key that is
absent or ``None`` was not measured. ``quality`` is the metric's own value. Drops are signed so that
more is worse for every metric, in the unit of :attr:`Metric.drop_unit`. ``latency_ratio`` is the
candidate over the source model, as the interleaved measurement gave it. Keys in ``low`` and
``high`` are the ends of confidence intervals.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from hamerspace.quantities import Metric
from hamerspace.recipe import Scalar

Values = Mapping[str, float | None]
Origin = Literal["baseline", "default", "history", "known", "sampled"]
LimitVerdict = Literal["kept", "missed", "not shown"]


@dataclass(frozen=True)
class SourceRecord:
    """The source model.

    Attributes:
        label: Name for people.
        values: Its measurements on the search split.
        confirm_values: Those taken again beside the confirmed candidates; empty before that.
        description: What to tell about it, such as ``{"parameters": "310,000"}``.
    """

    label: str
    values: Values = field(default_factory=dict)
    confirm_values: Values = field(default_factory=dict)
    description: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TrialRecord:
    """One trial.

    Attributes:
        number: Number within the study.
        recipe_id: Equal for trials of equal behaviour.
        label: Short name of the recipe, such as ``openvino int8 prune 0.3``.
        parameters: The recipe's parameters.
        ended_at: The gate that ended it; ``build`` where it was not built, ``load`` where it was
            and fails when it is loaded or run; ``complete``; or ``reused`` where an earlier trial
            of the same recipe lent its results.
        reason: Why it ended there, in one line.
        feasible: Whether it was measured in full and keeps every limit.
        origin: ``baseline``, ``default`` (a single tool's own), ``history`` (found by an earlier
            study), ``known`` (known to be good) or ``sampled``.
        values: Measurements; see the module.
        violations: Limit name to ``(value - limit) / limit``; at most 0 is kept.
        seconds: Where the time went: ``build`` and the parts of measuring.
        started_s: Start, in seconds since that of the study.
        finished_s: End, in seconds since the start of the study.
        default_of: The single tool whose own default it is; empty where it is none.
        choices: What was chosen of the space. Unlike ``parameters`` it holds what a recipe leaves
            out because it does nothing, such as a ratio of 0, and nothing that had no choice.
    """

    number: int
    recipe_id: str
    label: str
    parameters: Mapping[str, Scalar]
    ended_at: str
    reason: str
    feasible: bool
    origin: Origin
    values: Values = field(default_factory=dict)
    violations: Mapping[str, float] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    started_s: float = 0.0
    finished_s: float = 0.0
    default_of: str = ""
    choices: Mapping[str, Scalar] = field(default_factory=dict)

    @property
    def backend(self) -> str:
        """Name of the backend, the first word of the label where no parameter tells it."""
        return str(self.parameters.get("backend") or (self.label.split() or ["unknown"])[0])


@dataclass(frozen=True)
class Confirmation:
    """A candidate measured again in fresh processes, on data that the search never saw.

    Attributes:
        number: Number of its trial.
        label: Short name of the recipe.
        recipe_id: Id of the recipe.
        values: Measurements on the confirm split.
        verdicts: Limit name to ``kept``, ``missed``, or ``not shown`` where the interval
            straddles the limit.
        winner: Whether it was chosen.
    """

    number: int
    label: str
    recipe_id: str
    values: Values
    verdicts: Mapping[str, LimitVerdict] = field(default_factory=dict)
    winner: bool = False


@dataclass(frozen=True)
class Miss:
    """A limit that a candidate does not keep."""

    value: float
    limit: float


@dataclass(frozen=True)
class Nearest:
    """A candidate that comes near to the limits without keeping all of them, or to the source."""

    label: str
    number: int
    misses: Mapping[str, Miss]


@dataclass(frozen=True)
class RunData:
    """Everything that a report tells.

    Attributes:
        name: Name of the study.
        source: The source model.
        metric: How quality is judged.
        trials: In the order of their numbers.
        confirmations: The candidates that were confirmed.
        constraints: Limit name, as in :class:`hamerspace.constraints.Constraints`, to its value.
        objectives: Of ``quality``, ``latency``, ``size``, ``memory``, ``throughput``.
        feasible_winner: Whether a winner was chosen that misses no limit as far as can be shown.
        source_is_best: Whether candidates keep the limits and none of them beats the source model.
        nearest: Where nothing is feasible: the candidates nearest to the limits, best first. Where
            the source model is best: the candidate nearest to it, which misses nothing.
        confirm_rows: Rows of the confirm split, where there is one.
        warnings: What nobody may overlook.
        notes: What else to know of the data, the judging and the space.
        smallest_drop: The least limit on the drop that the confirm rows can show to be kept.
        environment: Facts about the device and the software.
        command: How the command line was called, without passwords; empty where a program made
            the study.
        stopped_because: Why the search stopped, in one line; empty before it ended.
        sensitivity: Scheme, such as ``openvino int8``, to layer and error, the most sensitive
            layer first. The error is the mean squared difference of the model's outputs, once
            that layer alone is quantised, over their mean square; infinite where the outputs are
            no numbers any more.
        study_yaml: The whole study as a study file.
        only_backends: To which the space was restricted; empty where it was not.
        trust_pickle: Whether pickled weights were allowed.
        session_metric: Whether the metric is a function that only the Python session has that
            made the study.
        depends_on: Choice to the choices whose values decide whether there is such a choice.
    """

    name: str
    source: SourceRecord
    metric: Metric
    trials: tuple[TrialRecord, ...] = ()
    confirmations: tuple[Confirmation, ...] = ()
    constraints: Mapping[str, float] = field(default_factory=dict)
    objectives: tuple[str, ...] = ("quality", "latency", "size")
    feasible_winner: bool = False
    source_is_best: bool = False
    nearest: tuple[Nearest, ...] = ()
    confirm_rows: int | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    smallest_drop: float | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    stopped_because: str = ""
    sensitivity: Mapping[str, tuple[tuple[str, float], ...]] = field(default_factory=dict)
    study_yaml: str = ""
    only_backends: tuple[str, ...] = ()
    trust_pickle: bool = False
    session_metric: bool = False
    depends_on: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def winner(self) -> Confirmation | None:
        """The chosen candidate, where there is one."""
        return next((c for c in self.confirmations if c.winner), None)

    @property
    def backends(self) -> tuple[str, ...]:
        """Names of the backends that trials used, sorted."""
        return tuple(sorted({trial.backend for trial in self.trials}))
