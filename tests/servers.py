"""Build servers that outlive the study that started them, as what they import takes long."""

import contextlib
import os
from typing import ClassVar

import psutil

from hamerspace.build.worker import Worker

_VOLATILE = {"COLUMNS", "LINES", "PYTEST_CURRENT_TEST", "HAMERSPACE_CACHE", "HAMERSPACE_HISTORY"}
_MOST = 2


class KeptWorker(Worker):
    """Leaves its server to the next one in the same environment, where nothing runs on it.

    Jobs are forked from the server, so that none sees what another did.
    """

    _kept: ClassVar = {}
    _variables = None
    _asking = False

    def start(self):
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        variables = {name: value for name, value in os.environ.items() if name not in _VOLATILE}
        self._variables = (self._python, *sorted(variables.items()))
        if self._variables not in self._kept:
            super().start()
            return
        self._process, self._replies = self._kept.pop(self._variables)
        if self._preloaded:
            self._send({"preload": list(self._preloaded)})

    def close(self):
        process = self._process
        idle = process is not None and process.poll() is None and not self._asking
        if not idle or self._variables in self._kept or _children(process.pid):
            self._asking = False
            super().close()
            return
        self._kept[self._variables] = (process, self._replies)
        self._process = None
        while len(self._kept) > _MOST:
            self._end(next(iter(self._kept)))

    def _ask(self, request):
        self._asking = True
        reply = super()._ask(request)
        self._asking = False
        return reply

    @classmethod
    def _end(cls, variables):
        worker = Worker()
        worker._process, worker._replies = cls._kept.pop(variables)
        worker.close()

    @classmethod
    def end_all(cls):
        """End the servers that nobody uses."""
        for variables in list(cls._kept):
            cls._end(variables)


def _children(pid):
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).children()
    return []
