"""Finished trials go to the storage beside what comes next.

A transaction takes tens of milliseconds of a search whose next trial could be under way. Whoever
adds a trial learns what became of the one before. After an error the writer is of no more use, as
its numbers are not those of the storage.
"""

from concurrent.futures import Future, ThreadPoolExecutor

import optuna
from optuna.trial import FrozenTrial

from hamerspace._optuna import add_trial
from hamerspace.errors import RunFolderError


class Writer:
    """Adds trials to a study in a thread of its own.

    Attributes:
        count: Trials that the study holds, those that are being written included.

    Args:
        study: Of one process only: it numbers its trials here.
        count: Trials that the study holds.
    """

    def __init__(self, study: optuna.Study, count: int) -> None:
        self._study = study
        self.count = count
        self._pool = ThreadPoolExecutor(1, "trials")
        self._going: tuple[Future[int], int] | None = None
        self._failed = False

    def add(self, trial: FrozenTrial) -> int:
        """Begin to write a trial; return its number.

        Raises:
            RunFolderError: Someone else writes to this study.
            Exception: What the storage raised on the trial before.
        """
        number, before = self.count, self._going
        self._going = self._pool.submit(add_trial, self._study, trial), number
        self.count += 1
        if before is not None:
            self._check(*before)
        return number

    def wait(self) -> None:
        """Return when all is written.

        Raises:
            RunFolderError: Someone else writes to this study.
            Exception: What the storage raised.
        """
        if self._going is not None:
            self._check(*self._going)
            self._going = None

    def _check(self, written: Future[int], number: int) -> None:
        try:
            found = written.result()
        except Exception:
            self._failed = True
            raise
        if found != number and not self._failed:
            raise RunFolderError(
                f"another process has added trials to study '{self._study.study_name}'; searches "
                "that share trials each need a folder of their own and the same --storage"
            )
