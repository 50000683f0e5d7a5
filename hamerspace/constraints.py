"""Limits that a user sets, how far a measurement misses them, and what the search improves."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

from hamerspace.errors import ConfigError


class Objective(StrEnum):
    """A measurement that the search improves."""

    QUALITY = "quality"
    LATENCY = "latency"
    SIZE = "size"
    MEMORY = "memory"
    THROUGHPUT = "throughput"
    DOWNLOAD = "download"

    @property
    def label(self) -> str:
        """Name with its unit, as figures and dashboards show it."""
        return {
            Objective.QUALITY: "quality",
            Objective.LATENCY: "latency_ms",
            Objective.SIZE: "size_mb",
            Objective.MEMORY: "memory_mb",
            Objective.THROUGHPUT: "throughput_per_s",
            Objective.DOWNLOAD: "download_mb",
        }[self]


@dataclass(frozen=True)
class Constraints:
    """Limits on a candidate; ``None`` is no limit.

    Attributes:
        max_size_mb: Of all files that the runtime needs, in MB (10^6 bytes).
        max_latency_ms: Of one batch at the deployment batch size, median, in ms.
        max_accuracy_drop: Of quality against the source model, in points: hundredths for metrics
            between 0 and 1, percent of the source's value for the others.
        max_memory_mb: Peak resident memory over that of the bare runtime, in MB.
        max_download_mb: Of the same files under deflate, as they travel, in MB.
    """

    max_size_mb: float | None = None
    max_latency_ms: float | None = None
    max_accuracy_drop: float | None = None
    max_memory_mb: float | None = None
    max_download_mb: float | None = None

    def __post_init__(self) -> None:
        for name, limit in self.limits().items():
            if isinstance(limit, bool) or not isinstance(limit, int | float):
                raise ConfigError(f"{name} must be a number, not {limit!r}")
            if not math.isfinite(limit) or limit <= 0:
                raise ConfigError(
                    f"{name} must be a finite number above 0, not {limit}; "
                    "leave it out for no limit"
                )

    def limits(self) -> dict[str, float]:
        """The limits that are set, always in the same order."""
        values = ((f.name, getattr(self, f.name)) for f in fields(self))
        return {name: value for name, value in values if value is not None}


def violation(value: float, limit: float) -> float:
    """``(value - limit) / limit``: at most 0 where the limit is kept."""
    return (value - limit) / limit


def penalty(violations: Mapping[str, float]) -> float:
    """The sum of what is violated, each at most 10 so that no constraint drowns the others."""
    return sum(min(v, 10.0) for v in violations.values() if v > 0)


def penalized(value: float, total: float, scale: float, *, maximize: bool) -> float:
    """An objective's value with the penalty on top, for samplers that know no constraints.

    Args:
        value: The plain measurement.
        total: What :func:`penalty` returned; 0 for a feasible trial, which leaves ``value`` plain.
        scale: Magnitude of the source model's own value.
        maximize: Whether more is better.
    """
    worse = total * (abs(scale) or 1.0)
    return value - worse if maximize else value + worse
