"""``hamerspace dashboard``."""

import sys
from typing import Annotated

import typer

from hamerspace.cli import options
from hamerspace.cli.console import print_json, say
from hamerspace.cli.ending import heed_interrupt


def dashboard(
    run: options.Run,
    host: Annotated[
        str, typer.Option(help="Address to listen on; there is no password, so keep it local.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for a free one.")
    ] = 8080,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    json: options.Json = False,
) -> None:
    """Serve a run in optuna-dashboard: front, figures, notes, artifacts; also while it goes on.

    It reads the run and never writes to it. With --json one document with the address is printed
    before it serves. Exit codes: 0 ended by Ctrl-C, 2 something given was wrong, 143 terminated.
    """
    from hamerspace.dashboard.server import DashboardServer

    try:
        with DashboardServer(run, host, port) as server:
            if not server.for_this_machine:
                say(_warning(host, server.port), stderr=True)
            if json:
                print_json(
                    {
                        "url": server.url,
                        "host": host,
                        "port": server.port,
                        "study": server.study.loaded.config.name,
                        "run": server.study.folder.path,
                    }
                )
            else:
                say(f"{server.study.loaded.config.name}: {server.url}\nCtrl-C ends it.")
            sys.stdout.flush()
            if open_page:
                _open_page(server.url)
            server.serve()
    except KeyboardInterrupt:
        # The way to end a server that did what it was told.
        heed_interrupt()
        raise typer.Exit from None


def _warning(host: str, port: int) -> str:
    return (
        f"warning: whoever reaches {host} on port {port} can read this run, its models and its "
        "logs: there is no password. From another machine, this is private: "
        f"ssh -L {port}:localhost:{port} THIS_MACHINE, with the dashboard on 127.0.0.1."
    )


def _open_page(url: str) -> None:
    import webbrowser

    if not webbrowser.open(url):
        say("note: no browser was found to open the page in", stderr=True)
