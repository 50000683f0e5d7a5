"""The log of other tools, kept to what went wrong."""

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def errors_only(*loggers: str) -> Iterator[None]:
    """Let these loggers of other packages tell of errors only."""
    found = [logging.getLogger(name) for name in loggers]
    levels = [logger.level for logger in found]
    for logger in found:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(found, levels, strict=True):
            logger.setLevel(level)
