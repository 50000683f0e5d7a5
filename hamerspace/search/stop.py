"""When a search stops, and why it did."""

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

_PATIENCE = 3


class Reason(StrEnum):
    """What ended a search."""

    TRIALS = "trials"
    TIME = "time"
    EXHAUSTED = "exhausted"
    GAIN = "gain"


@dataclass(frozen=True)
class Stop:
    """The end of a search.

    Attributes:
        reason: What ended it.
        text: The same for people, after "stopped because".
        min_gain_percent: The threshold that ended it, where one did.
    """

    reason: Reason
    text: str
    min_gain_percent: float | None = None


@dataclass(frozen=True)
class Budget:
    """What a search may take.

    Attributes:
        trials: Finished trials of the whole study, earlier runs included.
        deadline_s: On the clock of :func:`time.monotonic`; no trial starts after it.
        min_gain_percent: What a trial must be expected to add to the hypervolume of the feasible
            trials, in percent of it; ``None`` for no such rule.
    """

    trials: int
    deadline_s: float | None = None
    min_gain_percent: float | None = None

    def spent(self, finished: int) -> Stop | None:
        """The stop, where trials or time are used up."""
        if finished >= self.trials:
            return Stop(Reason.TRIALS, f"{self.trials} trials were finished")
        if self.deadline_s is not None and time.monotonic() >= self.deadline_s:
            return Stop(Reason.TIME, "the time limit was reached")
        return None

    def met_by(self, result: dict[str, Any], finished: int) -> bool:
        """Whether a search that ended with ``result`` would not go on."""
        if not result or result["finished"] != finished:
            return False
        stopped = result.get("stopped", {})
        if stopped.get("reason") == Reason.GAIN:
            return bool(stopped["min_gain_percent"] == self.min_gain_percent)
        return finished >= self.trials or stopped.get("reason") == Reason.EXHAUSTED


def exhausted(count: int) -> Stop:
    """Every recipe of the space was measured."""
    return Stop(Reason.EXHAUSTED, f"every one of the {count} recipes was measured")


class GainWatch:
    """Says when little is left to gain.

    One fit that promises little may be a whim of the models; three in a row are taken for an
    answer.

    Args:
        min_gain_percent: See :class:`Budget`.
    """

    def __init__(self, min_gain_percent: float | None) -> None:
        self._percent = min_gain_percent
        self._below = 0

    def stop(self, gain: float | None) -> Stop | None:
        """The stop, once the gain was too small often enough.

        Args:
            gain: That the best recipe left is expected to bring, over what is there; ``None``
                where nothing new is known of it.
        """
        if self._percent is None or gain is None:
            return None
        self._below = self._below + 1 if 100 * gain < self._percent else 0
        if self._below < _PATIENCE:
            return None
        text = f"a trial more was expected to add less than {self._percent:g} % to the hypervolume"
        return Stop(Reason.GAIN, text, self._percent)
