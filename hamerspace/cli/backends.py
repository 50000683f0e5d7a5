"""``hamerspace backends``: list them, and install the tool environments of some."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hamerspace.cli import completion, options
from hamerspace.cli.console import console, plain_table, print_json, stanzas

if TYPE_CHECKING:
    from rich.console import RenderableType

_COLUMNS = 60
"""Terminals at least this wide show tables."""

backends = typer.Typer(
    help="List the backends: what is installed, what is not, and how to get it.",
    invoke_without_command=True,
    rich_markup_mode=None,
)


@backends.callback()
def list_backends(context: typer.Context, json: options.Json = False) -> None:
    """List the backends: what is installed, what is not, and how to get it."""
    if context.invoked_subcommand is not None:
        return
    runtimes, tools = _runtimes(), _tools()
    if json:
        print_json({"backends": runtimes, "environments": tools})
        return
    out = console()
    out.print(_shown("backend", "runtime", runtimes, out.width), "")
    out.print(_shown("tool environment", "purpose", tools, out.width))


@backends.command()
def install(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="Such as litert-torch or tvm.",
            autocompletion=completion.tool_environments,
        ),
    ],
    json: options.Json = False,
) -> None:
    """Install a tool environment: a tool whose dependencies clash with the rest.

    It gets a virtual environment in the user's data folder, or in $HAMERSPACE_DATA, and pip
    installs into it as it is configured.
    """
    from hamerspace.environments.install import install as install_environment

    install_environment(name, console(stderr=json).print)
    if json:
        print_json(next(row for row in _tools() if row["name"] == name))


def _runtimes() -> list[dict[str, Any]]:
    from hamerspace.backends import BACKENDS

    rows = []
    for name, config in BACKENDS.items():
        missing, versions = list(config.missing()), config.versions()
        rows.append(
            {
                "name": name,
                "title": config.title,
                "installed": not missing,
                "versions": {n: v for n, v in versions.items() if n in config.distributions},
                "missing": missing,
                "install": config.hint(),
            }
        )
    return rows


def _tools() -> list[dict[str, Any]]:
    from hamerspace.environments import (
        ENVIRONMENTS,
        environment_python,
        environment_versions,
        install_hint,
    )
    from hamerspace.environments.base import requirement_name

    rows = []
    for name, environment in ENVIRONMENTS.items():
        here, versions = environment_python(name) is not None, environment_versions(name)
        named = [requirement_name(text) for text in environment.requirements]
        rows.append(
            {
                "name": name,
                "title": environment.title,
                "installed": here,
                "versions": {n: versions[n] for n in named if n in versions},
                "install": None if here else install_hint(name),
            }
        )
    return rows


def _shown(kind: str, what: str, rows: list[dict[str, Any]], width: int) -> "RenderableType":
    from rich.text import Text

    if width < _COLUMNS:
        title = (Text(f"{kind}: {what}", style="bold"), ())
        lines = ((f"{row['name']}: {row['title']}", (_installed(row),)) for row in rows)
        return stanzas([title, *lines], below=2)
    table = plain_table([kind], [what, "installed"])
    for row in rows:
        table.add_row(row["name"], row["title"], _installed(row))
    return table


def _installed(row: dict[str, Any]) -> str:
    if not row["installed"]:
        return f"no: {row['install']}"
    return ", ".join(f"{name} {version}" for name, version in row["versions"].items()) or "yes"
