"""The count of a search, which every display shows."""

import time
from collections import deque
from collections.abc import Mapping
from typing import Self

from hamerspace import _numbers
from hamerspace._numbers import duration
from hamerspace._text import visible
from hamerspace.outcome.front import front
from hamerspace.outcome.record import Record
from hamerspace.recipe import Recipe
from hamerspace.search.confirm import cost
from hamerspace.search.goal import Goal
from hamerspace.search.run import Run
from hamerspace.space.describe import recipe_label

_LATEST = 8


class Progress:
    """Keeps count of a search; a display shows it.

    Attributes:
        trials: How many finished trials the study shall have.
        done: How many it has.
        text: The part of the work that is going on.
        current: The trial that is going on; empty between trials.
        latest: Number and record of the last trials that finished.
        stored: The precisions of what is not quantised; see
            :func:`~hamerspace.space.describe.stored_precisions`.
        on_front: Number and record of the trials on the front.

    Args:
        run: What the search goes on with.
        trials: Finished trials of the whole study; default: the study's budget.
        timeout_s: Seconds of searching; default: the budget's.
    """

    def __init__(self, run: Run, trials: int | None = None, timeout_s: float | None = None) -> None:
        budget = run.loaded.config.budget
        self.trials = budget.trials if trials is None else trials
        self.done = 0
        self.text = "starting"
        self.current = ""
        self.latest: deque[tuple[int, Record]] = deque(maxlen=_LATEST)
        self.on_front: dict[int, Record] = {}
        self._timeout_s = budget.timeout_s if timeout_s is None else timeout_s
        self._run = run
        self._started: float | None = None
        self._fresh = 0
        self._best: tuple[float, int, Record] | None = None
        self._goal: Goal | None = None
        self.stored: Mapping[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Leave the display as it is."""

    def phase(self, text: str) -> None:
        """A new part of the work has begun."""
        self.text, self.current = text, ""
        if text == "searching":
            self._started = time.monotonic()
            self._goal = self._run.goal
            self.stored = self._run.facts.get("precisions", {})
            records = self._run.records()
            self.done = len(records)
            for number, record in records.items():
                self._note(number, record)
        self._changed()

    def trial_started(self, number: int | None, recipe: Recipe, origin: str) -> None:
        """A recipe is about to be built and measured."""
        which = "" if number is None else f"#{number} "
        self.current = f"{which}{recipe_label(recipe, self.stored)} ({origin})"
        self._changed()

    def trial_finished(self, number: int, record: Record) -> None:
        """A trial has ended."""
        self.done += 1
        self._fresh += 1
        self.current = ""
        self.latest.append((number, record))
        self._note(number, record)
        self._changed()

    def _changed(self) -> None:
        """Show it; a display that asks by itself need not be told."""

    def _note(self, number: int, record: Record) -> None:
        """Keep the best feasible trial and the front up to date."""
        goal = self._goal
        if not record.feasible or record.reused_from is not None or goal is None:
            return
        value = cost(record.measurement, goal)
        if self._best is None or value < self._best[0]:
            self._best = (value, number, record)
        # Who was dominated before stays dominated: the front and the newcomer tell the new front.
        nearest = {**self.on_front, number: record}
        self.on_front = {n: nearest[n] for n in front(nearest, goal.maximize)}

    def time_left(self) -> str:
        """How long it may still take, at the pace so far."""
        if self._started is None or not self._fresh:
            return "an unknown time"
        elapsed = time.monotonic() - self._started
        left_s = elapsed / self._fresh * max(self.trials - self.done, 0)
        if self._timeout_s is not None:
            left_s = min(left_s, self._timeout_s - elapsed)
        return duration(max(left_s, 0.0))

    def best_text(self) -> str:
        """The best feasible trial so far."""
        if self._best is None:
            return "none yet"
        _, number, record = self._best
        return f"#{number} {recipe_label(record.recipe, self.stored)}: {figures(record)}"


def cells(
    number: int, record: Record, stored: Mapping[str, str] | None = None
) -> tuple[str, str, str, str]:
    """A finished trial as a row: number, recipe, where it ended, what it came to."""
    gate = "reused" if record.reused_from is not None else str(record.measurement.ended_at)
    return f"#{number}", recipe_label(record.recipe, stored), gate, fate(record)


def fate(record: Record) -> str:
    """What a trial came to, in a few words."""
    if record.reused_from is not None:
        return f"same as trial {record.reused_from}"
    if record.measurement.reason:
        return visible(record.measurement.reason.splitlines()[0][:120], lines=False)
    return figures(record) + ("" if record.feasible else " (misses a limit)")


def figures(record: Record) -> str:
    """The main figures of a measurement."""
    values = record.measurement.observed()
    latency = record.measurement.latency
    parts = []
    if "size" in values:
        parts.append(_numbers.amount("size_mb", values["size"]))
    if latency is not None:
        ratio = latency.ratio.estimate
        parts.append(_numbers.amount_with_gain("latency_ms", values["latency"], ratio))
    if "drop" in values:
        parts.append(f"drop {_numbers.drop(values['drop'])}")
    return ", ".join(parts)
