"""The command line. Each command is a module; what it needs is imported when it runs."""

import sys

from hamerspace.cli.app import app
from hamerspace.errors import HamerspaceError

__all__ = ["app", "main"]

INTERRUPTED = 130


def main() -> None:
    """Run the command line; a :class:`HamerspaceError` ends it with a message and its code."""
    try:
        app()
    except HamerspaceError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the command line prints
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        message = "interrupted; the same command goes on where it was"
        print(f"\n{message}", file=sys.stderr)  # noqa: T201
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
