"""How a search goes on: a live display on a terminal, plain lines elsewhere."""

import sys
from typing import Any, Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hamerspace.cli.console import console, say
from hamerspace.cli.ending import refuse_signalled
from hamerspace.outcome.record import Record
from hamerspace.progress import Progress
from hamerspace.progress.count import cells, fate
from hamerspace.recipe import Recipe
from hamerspace.search.run import Run
from hamerspace.space.describe import recipe_label


def progress_display(run: Run) -> "TerminalProgress":
    """The display that suits standard error: standard output is for the outcome alone."""
    return LiveProgress(run) if sys.stderr.isatty() else PlainProgress(run)


class TerminalProgress(Progress):
    """Writes to standard error, and ends a search that a signal did not."""

    def phase(self, text: str) -> None:
        refuse_signalled()
        super().phase(text)

    def trial_started(self, number: int | None, recipe: Recipe, origin: str) -> None:
        refuse_signalled()
        super().trial_started(number, recipe, origin)

    def interrupted(self) -> None:
        """The user, or another program, ended the search."""
        if self.done:
            trials = f"{self.done} finished trial{'' if self.done == 1 else 's'}"
            self._say(f"interrupted with {trials} kept; the same command goes on from there")
        else:
            self._say("interrupted before a trial was finished; the same command starts again")

    def _say(self, text: str) -> None:
        say(text, stderr=True)
        sys.stderr.flush()


class PlainProgress(TerminalProgress):
    """A line for each phase and trial."""

    def phase(self, text: str) -> None:
        super().phase(text)
        self._say(f"{text} ...")

    def trial_finished(self, number: int, record: Record) -> None:
        super().trial_finished(number, record)
        label = recipe_label(record.recipe, self.stored)
        self._say(
            f"trial {number} ({self.done}/{self.trials}) {label}: "
            f"{fate(record)}; front {len(self.on_front)}; {self.time_left()} left"
        )


class LiveProgress(TerminalProgress):
    """A table of the latest trials under a bar, renewed in place."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._console = console(stderr=True)
        self._live = Live(
            console=self._console,
            get_renderable=self._render,
            refresh_per_second=4,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=True,  # warnings of the log stay above the display
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def _say(self, text: str) -> None:
        self._live.stop()
        super()._say(text)

    def _render(self) -> RenderableType:
        head = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=self.trials, completed=self.done, width=self._console.width // 4)
        head.add_row(bar, f"{self.done}/{self.trials} trials", f"{self.time_left()} left")
        parts: list[Any] = [head, _line(self.text, self.current, "cyan")]
        if self.latest:
            parts.append(self._trials())
        if self.done:
            parts.append(_line("best", self.best_text(), "green"))
            count = len(self.on_front)
            parts.append(Text(f"front  {count} candidate{'' if count == 1 else 's'}"))
        return Group(*parts)

    def _trials(self) -> RenderableType:
        """The latest trials, a line for each."""
        table = Table(box=None, header_style="dim", pad_edge=False, expand=True)
        table.add_column("trial", no_wrap=True)
        table.add_column("recipe", no_wrap=True, ratio=2)
        table.add_column("gate", no_wrap=True)
        table.add_column("result", no_wrap=True, ratio=3)
        for number, record in self.latest:
            row = map(Text, cells(number, record, self.stored))
            table.add_row(*row, style="" if record.feasible else "dim")
        return table


def _line(name: str, text: str, style: str) -> RenderableType:
    """One line, cut where the terminal ends."""
    return Text(f"{name}  {text}".rstrip(), style=style, no_wrap=True, overflow="ellipsis")
