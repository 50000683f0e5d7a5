"""Finished trials go to the storage beside what comes next.

A transaction takes tens of milliseconds of a search whose next trial could be under way. One trial
at most is on its way: the next waits for it, and so does whoever closes the writer.
"""

from concurrent.futures import Future, ThreadPoolExecutor

import optuna
from optuna.trial import FrozenTrial

from hamerspace._optuna import add_trial
from hamerspace.errors import RunFolderError


class Writer:
    """Adds trials to a study in a thread of its own.

    Args:
        study: Of one process only: it numbers its trials here.
        count: Trials that the study holds.
    """

    def __init__(self, study: optuna.Study, count: int) -> None:
        self._study = study
        self._count = count
        self._pool = ThreadPoolExecutor(1, "trials")
        self._going: Future[int] | None = None

    def add(self, trial: FrozenTrial) -> int:
        """Begin to write a trial; return its number.

        Raises:
            Exception: What the storage raised on the trial before.
        """
        self.wait()
        self._going = self._pool.submit(add_trial, self._study, trial)
        self._count += 1
        return self._count - 1

    def wait(self) -> None:
        """Return when all is written.

        Raises:
            RunFolderError: Someone else writes to this study.
            Exception: What the storage raised.
        """
        going, self._going = self._going, None
        if going is not None and going.result() != self._count - 1:
            raise RunFolderError(
                f"another process has added trials to study '{self._study.study_name}'; searches "
                "that share trials each need a folder of their own and the same --storage"
            )
