"""Numbers and figures as people read them; the same in tables, pictures, sentences and commands.

Figures go by names that hold their units, such as ``latency_ms``.
"""

from typing import Literal

ABSENT = "-"
SAME = 1.05
"""Ratios below this, and above its inverse, are no difference that anybody would miss."""
_UNITS = {
    "latency_ms": "ms",
    "latency_low_ms": "ms",
    "latency_high_ms": "ms",
    "load_time_ms": "ms",
    "size_mb": "MB",
    "memory_mb": "MB",
    "download_mb": "MB",
    "throughput_per_s": "/s",
}
_GAINS = {
    "latency_ms": ("faster", "slower"),
    "size_mb": ("smaller", "larger"),
    "download_mb": ("smaller", "larger"),
    "memory_mb": ("less", "more"),
}
"""Words for a ratio below and above 1, for the figures of which less is better."""


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


def unit_of(figure: str) -> str:
    """``ms`` for ``latency_ms``; empty for a figure without a unit."""
    return _UNITS.get(figure, "")


def amount(figure: str, value: float | None) -> str:
    """A value with its unit: ``0.1 ms``."""
    if value is None:
        return ABSENT
    return f"{number(value)} {unit_of(figure)}".rstrip()


def gain(figure: str, ratio: float | None) -> str:
    """The ratio to the source in words: ``12x faster``; empty where there are none for it."""
    words = _GAINS.get(figure)
    return times(ratio, *words) if words else ""


def amount_with_gain(figure: str, value: float | None, ratio: float | None) -> str:
    """A value with its unit and the ratio to the source: ``0.1 ms (12x faster)``."""
    text = "" if value is None else gain(figure, ratio)
    return f"{amount(figure, value)} ({text})" if text else amount(figure, value)


def quality(value: float | None, *, in_percent: bool = False) -> str:
    """A metric's value: ``0.9123``, or ``91.2 %``."""
    if value is None:
        return ABSENT
    return f"{100 * value:.1f} %" if in_percent else number(value, 4)


def drop(
    value: float | None, low: float | None = None, high: float | None = None, unit: str = ""
) -> str:
    """A drop of quality with its interval: ``0.2 points [-0.2, +0.6]``; a minus is a gain."""
    if value is None:
        return ABSENT
    text = f"{signed(value).removeprefix('+')} {unit}".rstrip()
    if low is None or high is None:
        return text
    return f"{text} [{signed(low)}, {signed(high)}]"


def drop_unit(kind: str) -> Literal["points", "%"]:
    """What stands after a drop that a metric tells in ``points`` or ``relative`` to the source."""
    return "points" if kind == "points" else "%"


def _factor(value: float) -> str:
    return f"{value:.1f}" if value < 9.95 else f"{value:,.0f}"
