"""The plain values that a report is made of.

``values`` mappings share one set of keys, :data:`hamerspace.quantities.FIGURES`; a key that is
absent or ``None`` was not measured. ``quality`` is the metric's own value. Drops are signed so that
more is worse for every metric, in the unit of :attr:`Metric.drop_unit`. ``latency_ratio`` is the
candidate over the source model, as the interleaved measurement gave it. Keys in ``low`` and
``high`` are the ends of confidence intervals.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from hamerspace.outcome.confirmed import Confirmed
from hamerspace.outcome.trial import Trial
from hamerspace.quantities import Metric

Values = Mapping[str, float | None]


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

    @property
    def latest(self) -> Values:
        """Its measurements beside the confirmed candidates, where there are any."""
        return self.confirm_values or self.values


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
        confirmed: The candidates that were measured again.
        chosen: Number of the trial that won; ``None`` without a winner.
        constraints: Limit name, as in :class:`hamerspace.constraints.Constraints`, to its value.
        objectives: Of ``quality``, ``latency``, ``size``, ``memory``, ``throughput``.
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
    trials: tuple[Trial, ...] = ()
    confirmed: tuple[Confirmed, ...] = ()
    chosen: int | None = None
    constraints: Mapping[str, float] = field(default_factory=dict)
    objectives: tuple[str, ...] = ("quality", "latency", "size")
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
    def winner(self) -> Confirmed | None:
        """The chosen candidate, where there is one."""
        return self.again(self.chosen)

    def trial(self, number: int | None) -> Trial | None:
        """The trial of a number, where there is one."""
        return next((trial for trial in self.trials if trial.number == number), None)

    def again(self, number: int | None) -> Confirmed | None:
        """What the trial of a number came to as it was confirmed, where it was."""
        return next((c for c in self.confirmed if c.number == number), None)

    @cached_property
    def labels(self) -> Mapping[int, str]:
        """Number of a trial to the short name of its recipe."""
        return {trial.number: trial.label for trial in self.trials}

    @property
    def backends(self) -> tuple[str, ...]:
        """Names of the backends that trials used, sorted."""
        return tuple(sorted({trial.backend for trial in self.trials}))
