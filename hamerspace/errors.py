"""Every error that Hamerspace raises on purpose, under one base.

The message of a :class:`HamerspaceError` says what was wrong, where, and what to do. The command
line prints it without a traceback and exits with :attr:`HamerspaceError.exit_code`.
"""

import difflib
from collections.abc import Iterable


class HamerspaceError(Exception):
    """Base of all errors raised on purpose."""

    exit_code = 2


class ConfigError(HamerspaceError):
    """A study file, a space file or a flag is wrong."""


class SourceError(HamerspaceError):
    """The source model cannot be read, or is refused."""


class DataError(HamerspaceError):
    """The data are missing, malformed, or do not fit the model."""


class MetricError(HamerspaceError):
    """The quality metric raised or returned something that is not a finite number."""


class BackendUnavailableError(HamerspaceError):
    """A backend is unknown, or its runtime is not installed."""


class RunFolderError(HamerspaceError):
    """A run folder cannot be written, is in use, or holds another study."""


class ChangedStudyError(RunFolderError):
    """A run folder holds another study than the one that shall go on in it."""


class FigureError(HamerspaceError):
    """Figures cannot be drawn as pictures: Kaleido or a browser is missing."""


class BuildError(HamerspaceError):
    """A recipe cannot be built. Within a search this is a result of the trial, not a failure."""


class NothingToLowerError(BuildError):
    """No weight of a model can take the bits that a recipe promises."""


class StoreError(HamerspaceError):
    """The folder of build results cannot be written, or something that was in it is gone.

    It says nothing of a candidate, so a search ends with it rather than note a result.
    """


class SessionError(HamerspaceError):
    """The process that runs a model crashed, hung, or refused the model."""


class SourceSessionError(SessionError):
    """That of the source model did, beside a candidate: it says nothing of the candidate."""


class DeviceError(HamerspaceError):
    """What runs models cannot be started, or the device went away.

    It says nothing of a candidate, so a search tries once more and then ends, noting no result.
    """


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"``, or the list of what is known where nothing is near."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; known: {', '.join(names)}" if names else ""
