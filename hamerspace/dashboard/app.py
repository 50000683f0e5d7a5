"""The application that is served: optuna-dashboard over a copy of a study, for reading only."""

import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, cast

from hamerspace.build.store import Store, default_store_folder
from hamerspace.dashboard.artifacts import RunArtifacts
from hamerspace.dashboard.mirror import Mirror
from hamerspace.dashboard.upstream import study_details
from hamerspace.errors import HamerspaceError
from hamerspace.search.run import Run

logger = logging.getLogger(__name__)

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

STUDY_PAGE = "/dashboard/studies/0"
"""The study in the storage of a :class:`Mirror`, which holds no other."""

_AT_MOST_EVERY_S = 1.0
_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
)


class DashboardApp:
    """A WSGI application that shows one run.

    A request finds what the run holds by then. Requests that would change something are refused:
    what is served is a copy, and a page that seems to delete trials should not.

    Args:
        run: Folder of the run.
        hosts: The names under which it may be called; ``None`` for any. A server on the loopback
            interface that answers to every name can be read by the pages of other sites, which
            let a name of their own resolve to this machine.

    Raises:
        RunFolderError: There is no run in the folder, or it cannot be read.
    """

    def __init__(self, run: Path, hosts: Collection[str] | None) -> None:
        self._hosts = hosts
        self._lock = threading.Lock()
        self._read_at_s = time.monotonic()
        self.study = Run.load(run)
        self._artifacts = RunArtifacts(self.study.folder, Store(default_store_folder()))
        self._mirror, self._app = self._open()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        refusal = self._refusal(environ)
        if refusal is not None:
            return _answer(start_response, *refusal)
        self._refresh()
        if environ.get("PATH_INFO", "").startswith("/artifacts/"):
            start_response = _confined(start_response)
        return self._app(environ, start_response)

    def _open(self) -> tuple[Mirror, Application]:
        import optuna_dashboard

        mirror = Mirror(self.study, self._artifacts)
        mirror.refresh()
        app = optuna_dashboard.wsgi(mirror.storage, artifact_store=self._artifacts)
        app.install(study_details(mirror.storage, mirror.study_id, lambda: mirror.best))
        return mirror, cast(Application, app)

    def _refresh(self) -> None:
        with self._lock:
            if time.monotonic() - self._read_at_s < _AT_MOST_EVERY_S:
                return
            try:
                if self._mirror.outdated:
                    self._mirror, self._app = self._open()
                else:
                    self._mirror.refresh()
            except HamerspaceError as error:
                logger.warning("the page shows what was read before: %s", error)
            self._read_at_s = time.monotonic()

    def _refusal(self, environ: Environ) -> tuple[str, str] | None:
        """Status and reason, where a request is refused."""
        host = _without_port(environ.get("HTTP_HOST", ""))
        if self._hosts is not None and host not in self._hosts:
            return "403 Forbidden", f"this dashboard answers to {', '.join(sorted(self._hosts))}"
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return "405 Method Not Allowed", "this dashboard is for reading only"
        path = environ.get("PATH_INFO", "")
        if path.startswith("/artifacts/") and not self._artifacts.has(path.rpartition("/")[2]):
            return "404 Not Found", (
                "this file is gone, or the dashboard was started again since the page was loaded; "
                "reload the page, or write the model with hamerspace export"
            )
        return None


def _confined(start_response: StartResponse) -> StartResponse:
    """Answer with files of a run so that a page among them cannot act as the dashboard.

    It may draw itself, as the report does, in an origin of its own and without a network.
    """
    confined = [("Content-Security-Policy", _POLICY), ("X-Content-Type-Options", "nosniff")]

    def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        return start_response(status, [*headers, *confined], *more)

    return start


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host


def _answer(start_response: StartResponse, status: str, reason: str) -> Iterable[bytes]:
    start_response(status, [("Content-Type", "application/json")])
    return [json.dumps({"reason": reason}).encode()]
