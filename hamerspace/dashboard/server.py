"""The web server of a dashboard, by default for this machine alone."""

import errno
import ipaddress
import socket
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from hamerspace.errors import ConfigError

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


class DashboardServer(AbstractContextManager["DashboardServer"]):
    """A dashboard of one run, listening from the start; :meth:`serve` answers.

    Args:
        run: Folder of the run.
        host: Address or name to listen on. optuna-dashboard knows no users and no passwords:
            whoever reaches the port reads the run, its models and its logs.
        port: 0 for a free one.

    Raises:
        ConfigError: optuna-dashboard is not installed, or the address is not to be had.
        RunFolderError: There is no run in the folder, or it cannot be read.
    """

    def __init__(self, run: Path, host: str = "127.0.0.1", port: int = 8080) -> None:
        if find_spec("optuna_dashboard") is None:
            raise ConfigError(
                "the dashboard needs optuna-dashboard; pip install 'hamerspace[dashboard]'"
            )
        from hamerspace.dashboard.app import STUDY_PAGE, DashboardApp

        self.for_this_machine = _is_loopback(host)
        shown = f"[{host}]" if ":" in host else host
        app = DashboardApp(run, _LOOPBACK_NAMES | {shown} if self.for_this_machine else None)
        self.study = app.study
        self._server = _listen(host, port)
        self._server.set_app(app)
        self.port = self._server.server_port
        self.url = f"http://{shown}:{self.port}{STUDY_PAGE}"

    def serve(self) -> None:
        """Answer until an interrupt, or :meth:`stop` in another thread, ends it."""
        self._server.serve_forever()

    def stop(self) -> None:
        """End :meth:`serve`, which runs in another thread, and free the port."""
        self._server.shutdown()
        self._server.server_close()

    def __exit__(self, *_: object) -> None:
        self._server.server_close()


class _Server(ThreadingMixIn, WSGIServer):
    # A browser holds connections open on which it asks nothing: each has a thread.
    daemon_threads = True

    def server_bind(self) -> None:
        # Without the look-up of the machine's name, which waits where there is no name server.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: the usual cause is a page that was left before it was loaded."""


class _Server6(_Server):
    address_family = socket.AF_INET6


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in http.server
        """Say nothing of a request that went well."""


def _listen(host: str, port: int) -> WSGIServer:
    server = _Server6 if ":" in host else _Server
    try:
        return server((host, port), _QuietHandler)
    except OSError as error:
        raise ConfigError(_why_not(error, host, port)) from error


def _why_not(error: OSError, host: str, port: int) -> str:
    if isinstance(error, socket.gaierror):
        return f"--host: '{host}' is no address of this machine; {error}"
    if error.errno == errno.EADDRINUSE:
        return f"--port: {port} is in use on {host}; name another, or 0 for a free one"
    if error.errno == errno.EACCES:
        return f"--port: {port} is not allowed to you; name one from 1024 on, or 0 for a free one"
    return f"--host: cannot listen on {host}: {error.strerror}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
