"""``hamerspace backends``."""

from typing import Any

from hamerspace.cli import options


def backends(json: options.Json = False) -> None:
    """List the backends: what is installed, what is not, and how to get it."""
    from rich.table import Table

    from hamerspace.backends import BACKENDS
    from hamerspace.cli.console import console, print_json

    rows: list[dict[str, Any]] = []
    for name in BACKENDS:
        config = BACKENDS.load(name)
        missing = list(config.missing())
        rows.append(
            {
                "name": name,
                "title": config.title,
                "installed": not missing,
                "versions": config.versions(),
                "missing": missing,
                "install": config.hint() if missing else None,
            }
        )
    if json:
        print_json({"backends": rows})
        return
    table = Table("backend", "runtime", "installed", box=None, pad_edge=False)
    for row in rows:
        versions = ", ".join(f"{n} {v}" for n, v in row["versions"].items())
        table.add_row(
            row["name"], row["title"], versions if row["installed"] else f"no: {row['install']}"
        )
    console().print(table)
