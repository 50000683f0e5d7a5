"""The values of a run as people read them, in the units of its metric."""

from hamerspace import _numbers
from hamerspace._numbers import ABSENT, amount, gain, number, unit_of
from hamerspace.report.run_data import MEASURED_BY_LIMIT, Metric, Values

__all__ = [
    "ABSENT",
    "axis_title",
    "drop",
    "duration",
    "gain",
    "limit_title",
    "limit_value",
    "measured",
    "number",
    "quality",
    "ratio_of",
    "title",
    "with_unit",
]

_TITLES = {
    "quality": "quality",
    "drop_points": "quality drop",
    "latency_ms": "latency",
    "size_mb": "size",
    "memory_mb": "memory",
    "download_mb": "download size",
    "throughput_per_s": "throughput",
    "load_time_ms": "load time",
}


def with_unit(key: str, value: float | None, metric: Metric) -> str:
    """A value of :data:`hamerspace.report.run_data.VALUE_KEYS` with its unit."""
    if value is None:
        return ABSENT
    if key == "quality":
        return quality(value, metric)
    if key.startswith("drop_"):
        return _numbers.drop(value, unit=metric.drop_unit)
    if key == "latency_ratio":
        return f"{number(value)} of the source"
    return amount(key, value)


def quality(value: float | None, metric: Metric) -> str:
    """A metric's value; in percent where drops are told in points (hundredths)."""
    return _numbers.quality(value, in_percent=metric.drop_unit == "points")


def drop(values: Values, metric: Metric) -> str:
    """The drop with its interval, such as ``0.2 points [-0.2, +0.6]``; a minus is a gain."""
    low, high = values.get("drop_low"), values.get("drop_high")
    return _numbers.drop(values.get("drop_points"), low, high, metric.drop_unit)


def ratio_of(key: str, values: Values, source: Values) -> float | None:
    """A value over that of the source model; ``None`` where either is unknown.

    The ratio of latencies is the interleaved one where it was measured: it cancels slow drift of
    the machine, which the quotient of two figures taken apart does not.
    """
    if key == "latency_ms" and values.get("latency_ratio") is not None:
        return values["latency_ratio"]
    value, base = values.get(key), source.get(key)
    return value / base if value is not None and base else None


def measured(key: str, values: Values, source: Values) -> str:
    """A value with the ratio to the source: ``0.1 ms (12x faster)``."""
    return _numbers.amount_with_gain(key, values.get(key), ratio_of(key, values, source))


def title(key: str) -> str:
    """Name of a value for people, without its unit."""
    return _TITLES.get(key, key.replace("_", " "))


def axis_title(key: str, metric: Metric) -> str:
    """Name of a value with its unit, for axes and table heads."""
    if key == "quality":
        return metric.name
    unit = metric.drop_unit if key.startswith("drop_") else unit_of(key)
    return f"{title(key)} ({unit})" if unit else title(key)


def limit_title(name: str) -> str:
    """What a limit bounds: ``latency`` for ``max_latency_ms``."""
    key = MEASURED_BY_LIMIT.get(name)
    return title(key) if key else name.removeprefix("max_").replace("_", " ")


def limit_value(name: str, value: float, metric: Metric) -> str:
    """A value in the unit of the limit ``name``."""
    key = MEASURED_BY_LIMIT.get(name)
    if key == "drop_points":
        text = number(value)
        unit = "point" if text == "1" and metric.drop_unit == "points" else metric.drop_unit
        return f"{text} {unit}"
    return with_unit(key, value, metric) if key else number(value)


def duration(seconds: float) -> str:
    """``45 s``, ``12 min`` or ``3.5 h``."""
    if seconds < 120:
        return f"{number(seconds, 2)} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
