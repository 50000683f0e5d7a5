"""A display that a notebook renews in place."""

import sys
import time
from typing import Any

from hamerspace import _html
from hamerspace._numbers import duration
from hamerspace.progress.count import Progress, cells
from hamerspace.search.run import Run


def in_notebook() -> bool:
    """Whether the caller runs in an IPython kernel, which can show HTML; a shell cannot."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class NotebookProgress(Progress):
    """A bar, the best so far and the latest trials, renewed at each event.

    Nothing is shown before the work begins, so a study that has ended already shows nothing.
    """

    def __init__(self, run: Run, trials: int | None = None, timeout_s: float | None = None) -> None:
        super().__init__(run, trials, timeout_s)
        self._name = run.loaded.config.name
        self._began = time.monotonic()
        self._over = False
        self._handle: Any = None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._handle is None:
            return
        self._over = True
        taken = duration(time.monotonic() - self._began)
        if kind is None:
            self.text = f"done in {taken}"
        elif issubclass(kind, KeyboardInterrupt):
            self.text = f"interrupted after {taken}; the same call goes on from here"
        else:
            self.text = f"stopped after {taken}"
        self.current = ""
        self._changed()

    def _changed(self) -> None:
        if self._handle is None:
            from IPython.display import display

            self._handle = display(self, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(self)

    def __repr__(self) -> str:
        return f"{self._name}: {self._count()}; {self.text}"

    def _repr_html_(self) -> str:
        parts = [_html.bar(self.done, self.trials), _html.line(self._count())]
        parts.append(_html.line(f"{self.text} {self.current}".rstrip()))
        if self.done:
            parts.append(_html.line(f"best {self.best_text()}"))
        if self.latest:
            rows = [cells(number, record, self.stored) for number, record in reversed(self.latest)]
            parts.append(_html.table(rows, ("trial", "recipe", "ended at", "result")))
        return _html.card(f"Study {self._name}", *parts)

    def _count(self) -> str:
        left = "" if self._over else f", {self.time_left()} left"
        return f"{self.done} of {self.trials} trials{left}, {len(self.on_front)} on the front"
