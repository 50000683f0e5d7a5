"""Who is told how a search goes on."""

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

from hamerspace.outcome.record import Record
from hamerspace.progress.notebook import NotebookProgress, in_notebook
from hamerspace.recipe import Recipe
from hamerspace.search.loop import StudyListener
from hamerspace.search.run import Run
from hamerspace.space.describe import recipe_label

logger = logging.getLogger(__name__)


class LogListener:
    """Logs at level INFO how a study goes on."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._stored: Mapping[str, str] = {}

    def phase(self, text: str) -> None:
        logger.info("%s", text)
        if text == "searching":
            self._stored = self._run.facts.get("precisions", {})

    def trial_started(self, number: int | None, recipe: Recipe, origin: str) -> None:
        which = "a recipe" if number is None else f"trial {number}"
        logger.info("%s: %s (%s)", which, recipe_label(recipe, self._stored), origin)

    def trial_finished(self, number: int, record: Record) -> None:
        logger.info("trial %d: %s", number, record.measurement.reason or "measured")


def listening(
    run: Run,
    listener: StudyListener | None,
    trials: int,
    timeout_s: float | None,
    *,
    display: bool,
) -> AbstractContextManager[StudyListener]:
    """The listener that was given, else a notebook's display, else the log.

    Args:
        run: What the search goes on with.
        listener: The caller's own.
        trials: Finished trials of the whole study.
        timeout_s: Seconds of searching, where they are limited.
        display: Whether a notebook shows one.
    """
    if listener is not None:
        return nullcontext(listener)
    if display and in_notebook():
        return NotebookProgress(run, trials, timeout_s)
    return nullcontext(LogListener(run))
