"""The Typer application and what all commands share."""

import inspect
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from hamerspace.cli import (
    apply,
    backends,
    benchmark,
    compare,
    dashboard,
    export,
    init,
    optimize,
    plan,
    report,
    schema,
    search,
    show,
    spaces,
)
from hamerspace.cli.console import say
from hamerspace.cli.options import name_settings
from hamerspace.errors import HamerspaceError

EXIT_CODES = (
    "Exit codes: 0 done; 1 the reader of the output went away; 2 something given was wrong, and "
    "the message says what; 3 nothing keeps the limits; 4 nothing beats the source model; 129 "
    "hung up, 130 interrupted, 143 terminated."
)

_PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    "Set up": (init.init, spaces.spaces, schema.schema),
    "Search": (plan.plan, search.search, optimize.optimize),
    "Inspect": (
        show.show,
        report.report,
        dashboard.dashboard,
        compare.compare,
        benchmark.benchmark,
    ),
    "Ship": (export.export, apply.apply),
}


class LaterCommand(TyperCommand):
    """Looks for its options once it is called: what says them takes a while to import.

    Args:
        function: Does what the command is for.
        panel: Head of those that it is listed with.
    """

    def __init__(self, function: Callable[..., None], panel: str) -> None:
        super().__init__(
            function.__name__,
            help=inspect.getdoc(function),
            rich_markup_mode=None,
            rich_help_panel=panel,
        )
        self._function = function

    def make_context(self, *arguments: Any, **more: Any) -> Any:
        name_settings(self._function)
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command(self.name)(self._function)
        return get_command(alone).make_context(*arguments, **more)


class CommandGroup(TyperGroup):
    """Lists the commands by what they are for, each with its whole first line."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        commands = [LaterCommand(f, panel) for panel, group in _PANELS.items() for f in group]
        self.commands = {str(c.name): c for c in commands} | dict(self.commands)

    def invoke(self, ctx: Any) -> Any:
        """Run a command; what code that is not ours means as an end of the program is an error."""
        try:
            return super().invoke(ctx)
        except SystemExit as ended:
            raise HamerspaceError(
                f"code that was imported here called sys.exit({ended.code!r}); it must not end the "
                "program"
            ) from ended

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        panels: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is None or command.hidden:
                continue
            panel = str(getattr(command, "rich_help_panel", None) or "Commands")
            first = (command.help or "").strip().partition("\n\n")[0]
            panels.setdefault(panel, []).append((name, " ".join(first.split())))
        for panel, rows in panels.items():
            with formatter.section(panel):
                formatter.write_dl(rows)


app = typer.Typer(
    name="hamerspace",
    cls=CommandGroup,
    help="Find the best compressed form of a model for a device, by building and measuring it.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(backends.backends, name="backends", rich_help_panel="Set up")


def _version(value: bool) -> None:
    if value:
        from hamerspace import __version__

        say(f"hamerspace {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Options of the program itself."""
