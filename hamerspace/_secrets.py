"""Passwords kept out of what is shown."""

import re

_USERINFO = re.compile(r"(\w://[^\s:/@]*):[^\s@]*@")
_QUERY = re.compile(r"([?&]password=)[^&\s'\"]*")


def without_passwords(text: str) -> str:
    """``text`` with ``***`` for the passwords of the URLs in it."""
    return _QUERY.sub(r"\1***", _USERINFO.sub(r"\1:***@", text))
