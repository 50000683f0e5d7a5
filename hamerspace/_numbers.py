"""Numbers as people read them, for every layer."""

ABSENT = "-"


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
    if factor < 1.05:
        return "same"
    return f"{_factor(factor)}x {word}"


def _factor(value: float) -> str:
    return f"{value:.1f}" if value < 9.95 else f"{value:,.0f}"
