"""One parameter of a space: what is declared, less what is masked."""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass

from optuna.trial import BaseTrial

from hamerspace.recipe import Condition, Parameter, Scalar


@dataclass(frozen=True)
class Choice:
    """The values that a space leaves to one parameter.

    Attributes:
        parameter: What its owner offers.
        values: What is left to choose from; empty for a continuous range.
        low: Least value of a continuous range.
        high: Greatest value of a continuous range.
        log: Whether the range is searched on a logarithmic scale.
        when: The owner's conditions, then the space's.
        declared: Whether the space mentions it; if not, it is fixed at its default.
    """

    parameter: Parameter
    values: tuple[Scalar, ...]
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    when: tuple[Condition, ...] = ()
    declared: bool = True

    @property
    def name(self) -> str:
        return self.parameter.name

    @property
    def continuous(self) -> bool:
        """Whether the values cannot be listed."""
        return self.high > self.low

    @property
    def asked(self) -> bool:
        """Whether a trial is asked for it: what is fixed is no question."""
        return self.declared and (self.continuous or len(self.values) > 1)

    @property
    def empty(self) -> bool:
        """Whether masking has left nothing."""
        return not self.values and not self.continuous

    def active(self, chosen: Mapping[str, Scalar]) -> bool:
        """Whether every condition holds."""
        return all(condition.holds(chosen) for condition in self.when)

    def contains(self, value: Scalar) -> bool:
        """Whether the value is among those left."""
        if self.continuous:
            return not isinstance(value, str | bool) and self.low <= value <= self.high
        return value in self.values

    @property
    def listed(self) -> tuple[Scalar, ...]:
        """Its values; of a continuous range the ends and the middle."""
        if not self.continuous:
            return self.values
        if self.log:
            return (self.low, math.sqrt(self.low * self.high), self.high)
        return (self.low, (self.low + self.high) / 2, self.high)

    def draw(self, source: random.Random) -> Scalar:
        """A value drawn evenly."""
        if not self.continuous:
            return source.choice(self.values)
        if self.log:
            return math.exp(source.uniform(math.log(self.low), math.log(self.high)))
        return source.uniform(self.low, self.high)

    def suggest(self, trial: BaseTrial) -> Scalar:
        """Ask the trial for a value where there is a choice."""
        if self.continuous:
            return trial.suggest_float(self.name, self.low, self.high, log=self.log)
        if not self.asked:
            return self.values[0]
        value = trial.suggest_categorical(self.name, self.values)
        assert value is not None
        return value

    def __str__(self) -> str:
        if self.continuous:
            return f"{self.low:g} to {self.high:g}"
        return ", ".join(str(v).lower() if isinstance(v, bool) else str(v) for v in self.values)
