"""Numbers and figures as people read them; the same in tables, pictures, sentences and commands.

Figures go by their keys, such as ``latency_ms``; see :mod:`hamerspace.quantities`.
"""

from collections.abc import Mapping
from typing import Literal

from hamerspace.quantities import BY_KEY, BY_LIMIT, OF_FIGURE, Metric

Values = Mapping[str, float | None]

ABSENT = "-"
SAME = 1.05
"""Ratios below this, and above its inverse, are no difference that anybody would miss."""


def number(value: float | None, digits: int = 3) -> str:
    """``value`` to ``digits`` significant digits, never in scientific notation.

    Trailing zeros after the point are dropped; thousands are grouped.
    """
    if value is None:
        return ABSENT
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits}g}")
    if abs(rounded) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    if abs(rounded) < 1e-6:
        return "0"
    text = f"{rounded:.9f}".rstrip("0").rstrip(".")
    return text or "0"


def signed(value: float, decimals: int = 1) -> str:
    """``value`` with its sign, but no sign on zero."""
    text = f"{value:+.{decimals}f}"
    return f"{0:.{decimals}f}" if float(text) == 0 else text


def times(ratio: float | None, better: str, worse: str) -> str:
    """``12x faster`` for a ratio of 1/12; empty for an unknown ratio.

    Args:
        ratio: Candidate over source, where less is better.
        better: Word for a ratio below 1, such as ``faster``.
        worse: Word for a ratio above 1, such as ``slower``.
    """
    if ratio is None or ratio <= 0:
        return ""
    factor, word = (1 / ratio, better) if ratio <= 1 else (ratio, worse)
    if factor < SAME:
        return "same"
    return f"{_factor(factor)}x {word}"


def amount(figure: str, value: float | None) -> str:
    """A value with its unit: ``0.1 ms``."""
    if value is None:
        return ABSENT
    return f"{number(value)} {OF_FIGURE[figure].unit}".rstrip()


def gain(figure: str, ratio: float | None) -> str:
    """The ratio to the source in words: ``12x faster``; empty where there are none for it."""
    words = OF_FIGURE[figure].gains
    return times(ratio, *words) if words else ""


def amount_with_gain(figure: str, value: float | None, ratio: float | None) -> str:
    """A value with its unit and the ratio to the source: ``0.1 ms (12x faster)``."""
    text = "" if value is None else gain(figure, ratio)
    return f"{amount(figure, value)} ({text})" if text else amount(figure, value)


def quality(value: float | None, metric: Metric | None = None) -> str:
    """A metric's value: ``0.9123``; in percent, ``91.2 %``, where its drops are told in points."""
    if value is None:
        return ABSENT
    if metric is not None and metric.drop_unit == "points":
        return f"{100 * value:.1f} %"
    return number(value, 4)


def drop(
    value: float | None, low: float | None = None, high: float | None = None, unit: str = ""
) -> str:
    """A drop of quality with its interval: ``0.2 points [-0.2, +0.6]``; a minus is a gain."""
    if value is None:
        return ABSENT
    text = f"{signed(value).removeprefix('+')} {unit}".rstrip()
    return f"{text} {ends_of_drop(low, high)}".rstrip()


def ends_of_drop(low: float | None, high: float | None) -> str:
    """The interval of a drop: ``[-0.2, +0.6]``; empty where it is not known."""
    return "" if low is None or high is None else f"[{signed(low)}, {signed(high)}]"


def drop_unit(kind: str) -> Literal["points", "%"]:
    """What stands after a drop that a metric tells in ``points`` or ``relative`` to the source."""
    return "points" if kind == "points" else "%"


def with_unit(key: str, value: float | None, metric: Metric) -> str:
    """A figure with its unit, in that of the metric where it is one of quality."""
    if value is None:
        return ABSENT
    if key == "quality":
        return quality(value, metric)
    if key.startswith("drop_"):
        return drop(value, unit=metric.drop_unit)
    if key.endswith("_ratio"):
        return f"{number(value)} of the source"
    return amount(key, value)


def drop_of(values: Values, metric: Metric) -> str:
    """The drop with its interval, such as ``0.2 points [-0.2, +0.6]``; a minus is a gain."""
    low, high = values.get("drop_low"), values.get("drop_high")
    return drop(values.get("drop_points"), low, high, metric.drop_unit)


def figure(key: str, values: Values, metric: Metric) -> str:
    """A figure with its unit; the drop with its interval too."""
    if key == "drop_points":
        return drop_of(values, metric)
    return with_unit(key, values.get(key), metric)


def ratio_of(key: str, values: Values, source: Values) -> float | None:
    """A value over that of the source model; ``None`` where either is unknown.

    The ratio of latencies is the interleaved one where it was measured: it cancels slow drift of
    the machine, which the quotient of two figures taken apart does not.
    """
    paired = values.get(f"{BY_KEY[key].name}_ratio")
    if paired is not None:
        return paired
    value, base = values.get(key), source.get(key)
    return value / base if value is not None and base else None


def measured(key: str, values: Values, source: Values) -> str:
    """A value with the ratio to the source: ``0.1 ms (12x faster)``."""
    return amount_with_gain(key, values.get(key), ratio_of(key, values, source))


def title(key: str) -> str:
    """Name of a value for people, without its unit."""
    found = BY_KEY.get(key)
    return found.title if found else key.replace("_", " ")


def axis_title(key: str, metric: Metric) -> str:
    """Name of a value with its unit, for axes and table heads."""
    if key == "quality":
        return metric.name
    unit = metric.drop_unit if key.startswith("drop_") else OF_FIGURE[key].unit
    return f"{title(key)} ({unit})" if unit else title(key)


def limit_title(name: str) -> str:
    """What a limit bounds: ``latency`` for ``max_latency_ms``."""
    found = BY_LIMIT.get(name)
    return found.title if found else name.removeprefix("max_").replace("_", " ")


def limit_value(name: str, value: float, metric: Metric) -> str:
    """A value in the unit of the limit ``name``."""
    found = BY_LIMIT.get(name)
    if found is None:
        return number(value)
    if found.key != "drop_points":
        return with_unit(found.key, value, metric)
    text = number(value)
    unit = "point" if text == "1" and metric.drop_unit == "points" else metric.drop_unit
    return f"{text} {unit}"


def duration(seconds: float) -> str:
    """``45 s``, ``12 min`` or ``3.5 h``."""
    if seconds < 120:
        return f"{number(seconds, 2)} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _factor(value: float) -> str:
    return f"{value:.1f}" if value < 9.95 else f"{value:,.0f}"
