"""The Typer application and what all commands share."""

import typer

from hamerspace.cli import backends, benchmark, export, optimize, search, show, spaces

app = typer.Typer(
    name="hamerspace",
    help="Find the best compressed form of a model for a device, by building and measuring it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for module in (search, optimize, show, export, benchmark, spaces):
    app.command()(getattr(module, module.__name__.rpartition(".")[2]))
app.add_typer(backends.backends, name="backends")


def _version(value: bool) -> None:
    if value:
        from hamerspace import __version__

        typer.echo(f"hamerspace {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Options of the program itself."""
