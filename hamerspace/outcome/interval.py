"""An estimate, and how sure of it one may be."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """An estimate with a confidence interval."""

    estimate: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2

    def scaled(self, factor: float) -> "Interval":
        """The interval of the quantity times a positive factor."""
        return Interval(self.estimate * factor, self.low * factor, self.high * factor)
