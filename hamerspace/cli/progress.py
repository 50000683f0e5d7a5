"""How a search goes on: a live display on a terminal, plain lines elsewhere."""

import sys
import time
from collections import deque
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Self

from hamerspace.cli.console import console
from hamerspace.recipe import Recipe
from hamerspace.report.formats import duration
from hamerspace.search.loop import Goal
from hamerspace.search.record import Record, observed
from hamerspace.space.describe import recipe_label

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hamerspace.study import Study

_SHOWN = 8


def progress_display(study: "Study") -> "Progress":
    """The display that suits standard error: standard output is for the outcome alone."""
    return LiveProgress(study) if sys.stderr.isatty() else PlainProgress(study)


class Progress(AbstractContextManager["Progress"]):
    """Keeps count of a search."""

    def __init__(self, study: "Study") -> None:
        self._budget = study.loaded.config.budget
        self._study = study
        self._done = 0
        self._started: float | None = None
        self._fresh = 0
        self._best: tuple[float, int, Record] | None = None
        self._on_front: dict[int, Record] = {}
        self._goal: Goal | None = None

    def __exit__(self, *_: object) -> None:
        """Leave the display as it is."""

    def phase(self, text: str) -> None:
        """A new part of the work has begun."""
        if text == "searching":
            self._started = time.monotonic()
            self._goal = self._study.goal
            records = self._study.records()
            self._done = len(records)
            for number, record in records.items():
                self._note(number, record)

    def trial_started(self, number: int, recipe: Recipe, origin: str) -> None:
        """A recipe is about to be built and measured."""

    def interrupted(self) -> None:
        """The user, or another program, ended the search."""
        if self._done:
            trials = f"{self._done} finished trial{'' if self._done == 1 else 's'}"
            self._say(f"interrupted with {trials} kept; the same command goes on from there")
        else:
            self._say("interrupted before a trial was finished; the same command starts again")

    def _say(self, text: str) -> None:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def trial_finished(self, number: int, record: Record) -> None:
        """A trial has ended."""
        self._done += 1
        self._fresh += 1
        self._note(number, record)

    def _note(self, number: int, record: Record) -> None:
        """Keep the best feasible trial and the front up to date."""
        from hamerspace.search.confirm import cost, front

        goal = self._goal
        if not record.feasible or record.reused_from is not None or goal is None:
            return
        value = cost(record.measurement, goal.objectives, goal.constraints, goal.source)
        if self._best is None or value < self._best[0]:
            self._best = (value, number, record)
        # Who was dominated before stays dominated: the front and the newcomer tell the new front.
        nearest = {**self._on_front, number: record}
        self._on_front = {n: nearest[n] for n in front(nearest, goal.maximize)}

    def time_left(self) -> str:
        """How long it may still take, at the pace so far."""
        if self._started is None or not self._fresh:
            return "an unknown time"
        elapsed = time.monotonic() - self._started
        left_s = elapsed / self._fresh * max(self._budget.trials - self._done, 0)
        if self._budget.timeout_s is not None:
            left_s = min(left_s, self._budget.timeout_s - elapsed)
        return duration(max(left_s, 0.0))

    def best_text(self) -> str:
        """The best feasible trial so far."""
        if self._best is None:
            return "none yet"
        _, number, record = self._best
        return f"#{number} {recipe_label(record.recipe)}: {figures(record)}"


class PlainProgress(Progress):
    """A line for each phase and trial."""

    def phase(self, text: str) -> None:
        super().phase(text)
        self._say(f"{text} ...")

    def trial_finished(self, number: int, record: Record) -> None:
        super().trial_finished(number, record)
        self._say(
            f"trial {number} ({self._done}/{self._budget.trials}) {recipe_label(record.recipe)}: "
            f"{fate(record)}; front {len(self._on_front)}; {self.time_left()} left"
        )


class LiveProgress(Progress):
    """A table of the latest trials under a bar, renewed in place."""

    def __init__(self, study: "Study") -> None:
        super().__init__(study)
        from rich.live import Live

        self._phase = "starting"
        self._current = ""
        self._latest: deque[tuple[int, Record]] = deque(maxlen=_SHOWN)
        self._console = console(stderr=True)
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def phase(self, text: str) -> None:
        super().phase(text)
        self._phase, self._current = text, ""

    def trial_started(self, number: int, recipe: Recipe, origin: str) -> None:
        self._current = f"#{number} {recipe_label(recipe)} ({origin})"

    def trial_finished(self, number: int, record: Record) -> None:
        super().trial_finished(number, record)
        self._latest.append((number, record))
        self._current = ""

    def _say(self, text: str) -> None:
        self._live.stop()
        super()._say(text)

    def _render(self) -> "RenderableType":
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        trials = self._budget.trials
        head = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=trials, completed=self._done, width=self._console.width // 4)
        head.add_row(bar, f"{self._done}/{trials} trials", f"{self.time_left()} left")
        parts: list[Any] = [head, _line(self._phase, self._current, "cyan")]
        if self._latest:
            parts.append(self._trials())
        if self._done:
            parts.append(_line("best", self.best_text(), "green"))
            count = len(self._on_front)
            parts.append(Text(f"front  {count} candidate{'' if count == 1 else 's'}"))
        return Group(*parts)

    def _trials(self) -> "RenderableType":
        """The latest trials, a line for each."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, header_style="dim", pad_edge=False, expand=True)
        table.add_column("trial", no_wrap=True)
        table.add_column("recipe", no_wrap=True, ratio=2)
        table.add_column("gate", no_wrap=True)
        table.add_column("result", no_wrap=True, ratio=3)
        for number, record in self._latest:
            gate = "reused" if record.reused_from is not None else record.measurement.ended_at
            cells = (f"#{number}", recipe_label(record.recipe), str(gate), fate(record))
            table.add_row(*map(Text, cells), style="" if record.feasible else "dim")
        return table


def _line(name: str, text: str, style: str) -> "RenderableType":
    """One line, cut where the terminal ends."""
    from rich.text import Text

    return Text(f"{name}  {text}".rstrip(), style=style, no_wrap=True, overflow="ellipsis")


def fate(record: Record) -> str:
    """What a trial came to, in a few words."""
    if record.reused_from is not None:
        return f"same as trial {record.reused_from}"
    if record.measurement.reason:
        return record.measurement.reason.splitlines()[0][:120]
    return figures(record) + ("" if record.feasible else " (misses a limit)")


def figures(record: Record) -> str:
    """The main figures of a measurement."""
    values = observed(record.measurement)
    latency = record.measurement.latency
    parts = []
    if "size" in values:
        parts.append(f"{values['size']:.3g} MB")
    if latency is not None:
        ratio = latency.ratio.estimate
        speed = f"{1 / ratio:.1f}x faster" if ratio < 1 else f"{ratio:.1f}x slower"
        parts.append(f"{values['latency']:.3g} ms ({speed})")
    if "drop" in values:
        parts.append(f"drop {values['drop']:+.2f}")
    return ", ".join(parts)
