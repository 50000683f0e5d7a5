"""Words of others, such as names out of model files and output of tools, made safe to show."""

import re
from collections.abc import Sequence

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, line separators, marks that turn the direction of writing, surrogates."""
_TERMINAL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def has_control(text: str) -> bool:
    """Whether something in ``text`` is not seen but acts, on a terminal or in a file."""
    return _CONTROL.search(text) is not None


def visible(text: str, *, lines: bool = True) -> str:
    """``text`` without a terminal's colours; other control characters stand as Python writes them.

    Args:
        text: Anything.
        lines: Leave line ends and tabs as they are.
    """
    kept = "\n\t" if lines else ""
    plain = _TERMINAL.sub("", text).replace("\r\n", "\n")
    return _CONTROL.sub(lambda c: c[0] if c[0] in kept else ascii(c[0])[1:-1], plain)


def escape_control(text: str) -> str:
    """``text`` with control characters as JSON, YAML and Python escape them within quotes."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def few(names: Sequence[str], most: int = 3) -> str:
    """The first names, and how many more there are: ``a, b, c and 4 more``."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def first_line(error: Exception) -> str:
    """Of what an error says; where it says nothing, what it is."""
    return next(iter(str(error).strip().splitlines()), repr(error))
