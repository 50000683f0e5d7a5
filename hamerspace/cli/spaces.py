"""``hamerspace spaces``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hamerspace.cli import options

if TYPE_CHECKING:
    from hamerspace.space import Space


def spaces(
    space: Annotated[
        str | None, typer.Argument(help="Explain this space; default: list all.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="A study.yaml or model file: what the space comes to for it."),
    ] = None,
    data: options.Data = None,
    inputs: options.Inputs = None,
    weights: options.Weights = None,
    trust_pickle: options.TrustPickle = False,
    json: options.Json = False,
) -> None:
    """List the search spaces, or explain one; with --model, count its distinct recipes."""
    from hamerspace.cli.console import console, print_json
    from hamerspace.config.loading import parse_space_file
    from hamerspace.config.study import AUTO_SPACE
    from hamerspace.errors import ConfigError
    from hamerspace.space import find_space_file, list_space_files

    if space == AUTO_SPACE and model is None:
        raise ConfigError("which space auto takes follows from the model; give --model")
    names = [space] if space else list(list_space_files())
    built: dict[str, Space] = {}
    if model is not None:
        built = _for_model(names, model, data, tuple(inputs or ()), weights, trust_pickle)
        names = list(built)
    rows: list[dict[str, Any]] = []
    for name in names:
        config = parse_space_file(find_space_file(name, Path.cwd()))
        row: dict[str, Any] = {"name": config.name, "description": config.description}
        row["parameters"] = list(config.parameters)
        rows.append(row)
    if built:
        for row, name in zip(rows, names, strict=True):
            row["recipes"] = built[name].count()
            row["masked"] = [
                {"parameter": m.parameter, "values": list(m.values), "reason": m.reason}
                for m in built[name].masks
            ]
    if json:
        print_json({"spaces": rows})
        return
    out = console()
    for row, name in zip(rows, names, strict=True):
        count = f" - {_count(row['recipes'])} for this model" if "recipes" in row else ""
        out.print(f"{row['name']}{count}", style="bold")
        out.print(f"  {row['description']}")
        if space is not None or model is not None:
            _explain(name, built.get(name))


def _count(recipes: int | None) -> str:
    return "a continuous range of recipes" if recipes is None else f"{recipes:,} distinct recipes"


def _explain(name: str, built: "Space | None") -> None:
    from rich.table import Table

    from hamerspace.cli.console import console
    from hamerspace.config.loading import parse_space_file
    from hamerspace.space import find_space_file
    from hamerspace.space.describe import declared_text, offered_parameters

    out = console()
    offers = offered_parameters()
    config = parse_space_file(find_space_file(name, Path.cwd()))
    left = {c.name: c for c in built.choices} if built else {}
    table = Table("parameter", "values", "active where", "meaning", box=None, pad_edge=False)
    for parameter, declaration in config.parameters.items():
        offer = offers.get(parameter)
        values = str(left[parameter]) if parameter in left else declared_text(declaration)
        conditions = (*(offer.when if offer else ()), *declaration.when)
        table.add_row(
            parameter,
            values or "(none left)",
            " and ".join(str(c) for c in conditions),
            offer.description if offer else "",
        )
    out.print(table)
    for mask in built.masks if built else ():
        values = ", ".join(map(str, mask.values))
        out.print(f"  left out: {mask.parameter} {values}: {mask.reason}", highlight=False)


def _for_model(
    names: list[str],
    model: str,
    data: str | None,
    inputs: tuple[str, ...],
    weights: str | None,
    trust_pickle: bool,
) -> dict[str, "Space"]:
    """The spaces as they come out for one model."""
    import tempfile

    from hamerspace.build.store import Store, default_store_folder
    from hamerspace.config.study import AUTO_SPACE
    from hamerspace.search.run_folder import RunFolder
    from hamerspace.search.workbench import Workbench
    from hamerspace.study import Study

    found = {}
    for name in names:
        if options.is_study(model, input=inputs, data=data, weights=weights):
            study = Study.from_yaml(model, space=name, trust_pickle=trust_pickle)
        else:
            study = Study.from_model(
                model,
                inputs=inputs,
                data=data,
                weights=weights,
                space=name,
                trust_pickle=trust_pickle,
            )
        with (
            tempfile.TemporaryDirectory() as scratch,
            Workbench(
                study.loaded, RunFolder(Path(scratch)), Store(default_store_folder())
            ) as bench,
        ):
            found[bench.space.name if name == AUTO_SPACE else name] = bench.space
    return found
