"""NNCF without its progress bars, its log and its reports over the network."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from types import ModuleType

from hamerspace.tasks.quiet import errors_only


@contextlib.contextmanager
def quiet_nncf() -> Iterator[ModuleType]:
    """Yield NNCF with its log at errors only and what it prints swallowed."""
    _import_nncf()
    with errors_only("nncf"), contextlib.redirect_stdout(io.StringIO()):
        yield sys.modules["nncf"]


def _import_nncf() -> None:
    """Import NNCF with its telemetry off: it reports usage over the network unless told not to.

    NNCF reads the variable once, while it is imported; afterwards the environment is as before.
    """
    before = os.environ.get("NNCF_CI")
    os.environ["NNCF_CI"] = "1"
    try:
        import nncf  # noqa: F401 - what it is imported for is its place in sys.modules
    finally:
        del os.environ["NNCF_CI"]
        if before is not None:
            os.environ["NNCF_CI"] = before
