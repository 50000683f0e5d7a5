"""``hamerspace spaces``."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hamerspace.cli import completion, options
from hamerspace.cli.console import console, plain_table, print_json, stanzas
from hamerspace.config.packaged import packaged_spaces
from hamerspace.errors import ConfigError

if TYPE_CHECKING:
    from hamerspace.config.space import SpaceConfig
    from hamerspace.space.space import Space

_TABLE = 120
"""Terminals at least this wide show parameters as a table."""


@options.of_study("data", "inputs", "weights", "trust_pickle")
def spaces(
    space: Annotated[
        str | None,
        typer.Argument(
            help="Explain this space; default: list all.", autocompletion=completion.spaces
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="A study.yaml or model file: what the space comes to for it."),
    ] = None,
    *,
    json: options.Json = False,
    **given: Any,
) -> None:
    """List the search spaces, or explain one; with --model, count its distinct recipes."""
    from hamerspace.config.loading import parse_space_file
    from hamerspace.config.study import AUTO_SPACE
    from hamerspace.space.catalog import find_space_file

    if space == AUTO_SPACE and model is None:
        raise ConfigError("which space auto takes follows from the model; give --model")
    names = [space] if space else list(packaged_spaces())
    built: dict[str, Space] = {}
    if model is not None:
        built = _for_model(names, model, given)
        names = list(built)
    configs = {name: parse_space_file(find_space_file(name, Path.cwd())) for name in names}
    if json:
        told = [_document(config, built.get(name)) for name, config in configs.items()]
        print_json({"spaces": told})
        return
    out = console()
    for name, config in configs.items():
        count = f" - {_count(built[name].count())} for this model" if name in built else ""
        out.print(f"{config.name}{count}", style="bold")
        out.print(f"  {config.description}")
        if space is not None or model is not None:
            _explain(config, built.get(name))


def _document(config: "SpaceConfig", built: "Space | None") -> dict[str, Any]:
    told: dict[str, Any] = {"name": config.name, "description": config.description}
    told["parameters"] = list(config.parameters)
    if built is not None:
        told["recipes"] = built.count()
        told["masked"] = built.masks
    return told


def _count(recipes: int | None) -> str:
    return "a continuous range of recipes" if recipes is None else f"{recipes:,} distinct recipes"


def _explain(config: "SpaceConfig", built: "Space | None") -> None:
    from hamerspace.space.describe import declared_text, mask_text, offered_parameters

    out = console()
    offers = offered_parameters()
    left = {c.name: c for c in built.choices} if built else {}
    rows: list[tuple[str, str, str, str]] = []
    for parameter, declaration in config.parameters.items():
        offer = offers.get(parameter)
        values = str(left[parameter]) if parameter in left else declared_text(declaration)
        conditions = (*(offer.when if offer else ()), *declaration.when)
        where = " and ".join(str(c) for c in conditions)
        rows.append((parameter, values or "(none left)", where, offer.description if offer else ""))
    if out.width < _TABLE:
        lines = ((f"{p}: {v}", (w and f"active where {w}", meaning)) for p, v, w, meaning in rows)
        out.print(stanzas(lines, indent=2, below=6))
    else:
        table = plain_table(["parameter"], ["values", "active where", "meaning"])
        for row in rows:
            table.add_row(*row)
        out.print(table)
    for mask in built.masks if built else ():
        out.print(f"  left out: {mask_text(mask)}")


def _for_model(names: list[str], model: str, given: Mapping[str, Any]) -> dict[str, "Space"]:
    """The spaces as they come out for one model."""
    from hamerspace.build.store import Store, default_store_folder
    from hamerspace.cli.target import study_of
    from hamerspace.config.study import AUTO_SPACE
    from hamerspace.search.prepared import Prepared

    options.is_study(model, data=given["data"], weights=given["weights"])
    found = {}
    for name in names:
        study = study_of(model, {**given, "space": name})
        with Prepared(study.loaded, Store(default_store_folder())) as prepared:
            found[prepared.space.name if name == AUTO_SPACE else name] = prepared.space
    return found
