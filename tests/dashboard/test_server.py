import socket
import threading

import pytest

from hamerspace.dashboard.server import DashboardServer
from hamerspace.errors import ConfigError, RunFolderError
from tests.dashboard.conftest import ask


def test_a_port_in_use_is_named_with_what_to_do(finished):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"{port} is in use on 127.0.0.1; name another, or 0"):
            DashboardServer(finished, port=port)


def test_the_port_is_free_again_afterwards(finished):
    with DashboardServer(finished, port=0) as server:
        port = server.port
    with DashboardServer(finished, port=port) as server:
        assert server.port == port


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.7"])
def test_an_address_of_another_machine_is_refused(finished, host):
    with pytest.raises(ConfigError, match="--host"):
        DashboardServer(finished, host, 0)


@pytest.mark.parametrize(
    ("host", "local"), [("127.0.0.1", True), ("localhost", True), ("0.0.0.0", False)]
)
def test_it_knows_whether_others_can_reach_it(finished, host, local):
    with DashboardServer(finished, host, 0) as server:
        assert server.for_this_machine == local


def test_it_answers_to_the_address_that_it_prints(finished):
    with DashboardServer(finished, "127.0.0.2", 0) as server:
        threading.Thread(target=server.serve, daemon=True).start()
        assert ask(server.url).status == 200
        server.stop()


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match="holds no run"):
        DashboardServer(tmp_path, port=0)


def test_an_idle_connection_does_not_keep_others_waiting(serve, finished):
    address = serve(finished)
    with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))):
        assert ask(f"{address}/api/meta").json["artifact_is_available"]
