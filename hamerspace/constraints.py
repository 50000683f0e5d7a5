"""Limits that a user sets, and how far a measurement misses them."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import InitVar, dataclass, fields

from hamerspace.errors import ConfigError, did_you_mean
from hamerspace.quantities import BY_LIMIT

HARDWARE = ("cpu", "arm", "edge", "gpu")
"""Kinds of hardware that :attr:`Constraints.target_hardware` may name."""


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
        max_p90_latency_ms: Of one batch at the deployment batch size, 90th percentile, in ms.
        max_load_time_ms: Of loading the model in a fresh process, the runtime's import excluded, in
            ms.
        target_hardware: ``cpu``, ``arm``, ``edge`` (one thread, bytes first) or ``gpu`` (CUDA);
            :class:`hamerspace.Optimizer` chooses the search space and the target by it. ``None``
            leaves them as a study file has them, else it is the CPU.
        target_size_mb: Another name of ``max_size_mb``, for when it is given.

    Raises:
        ConfigError: A limit is no finite number above 0, the hardware is unknown, or the size is
            given under both names.
    """

    max_size_mb: float | None = None
    max_latency_ms: float | None = None
    max_accuracy_drop: float | None = None
    max_memory_mb: float | None = None
    max_download_mb: float | None = None
    max_p90_latency_ms: float | None = None
    max_load_time_ms: float | None = None
    target_hardware: str | None = None
    target_size_mb: InitVar[float | None] = None

    def __post_init__(self, target_size_mb: float | None) -> None:
        if target_size_mb is not None:
            if self.max_size_mb is not None:
                raise ConfigError("target_size_mb is another name of max_size_mb; give one of them")
            object.__setattr__(self, "max_size_mb", target_size_mb)
        check_hardware(self.target_hardware)
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
        values = ((f.name, getattr(self, f.name)) for f in fields(self) if f.name in BY_LIMIT)
        return {name: value for name, value in values if value is not None}


def check_hardware(name: str | None) -> None:
    """Refuse an unknown kind of hardware.

    Raises:
        ConfigError: It is none of :data:`HARDWARE`; ``None`` is none that is named.
    """
    if name is not None and name not in HARDWARE:
        raise ConfigError(f"unknown target_hardware {name!r}{did_you_mean(str(name), HARDWARE)}")


def violation(value: float, limit: float) -> float:
    """``(value - limit) / limit``: at most 0 where the limit is kept."""
    return (value - limit) / limit


def penalty(violations: Mapping[str, float]) -> float:
    """The sum of what is violated, each at most 10 so that no constraint drowns the others."""
    return sum(min(v, 10.0) for v in violations.values() if v > 0)


def tradeoff(ratios: Iterable[float], drop_points: float, allowance: float | None) -> float:
    """One number to choose a candidate by; less is better.

    The sum of log2 of the ratios, one halving of latency weighs as much as one halving of size,
    plus the loss of quality over its limit: using up the whole allowance costs one doubling.

    Args:
        ratios: Candidate over source for each objective but quality, where less is better.
        drop_points: Loss of quality; a gain counts as none.
        allowance: The limit on it; without one, one point.
    """
    return sum(math.log2(ratio) for ratio in ratios) + max(drop_points, 0.0) / (allowance or 1.0)
