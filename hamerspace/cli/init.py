"""``hamerspace init``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hamerspace.cli import completion, options
from hamerspace.cli.console import console, print_json, print_model, say
from hamerspace.errors import ConfigError

if TYPE_CHECKING:
    from hamerspace.search.starter.write import Starter


@options.of_study(
    *("data", "inputs", "weights", "constants", "metric", "direction", "output"),
    *(options.LIMITS, "trust_pickle"),
)
def init(
    model: Annotated[
        str | None,
        typer.Argument(
            help="A model: .onnx, .pt2, TorchScript .pt, .keras, .h5, .tflite, the folder of a "
            "SavedModel or a Hugging Face model, or module:function.",
        ),
    ] = None,
    example: Annotated[
        str | None,
        typer.Option(
            help="Copy a study that comes along instead: fashion_mnist.",
            autocompletion=completion.examples,
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--output", help="Folder to write into; default: NAME-study.")
    ] = None,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Write over files that stand there.")
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Write the JSON Schema beside it, for editors.")
    ] = False,
    json: options.Json = False,
    **given: Any,
) -> None:
    """Write a study to start from: study.yaml and task.py, filled in with what a model reveals.

    The study runs as it stands. Without --data, random data stand in until you load yours.
    """
    if (model is None) == (example is None):
        raise ConfigError("init: name a model, or a study that comes along with --example")
    if example is not None:
        _example(example, folder, force=force, as_json=json)
        return
    from hamerspace.cli.target import flags_of
    from hamerspace.config.flags import study_from_flags
    from hamerspace.search.starter.text import search_command
    from hamerspace.search.starter.write import write_starter

    loaded = study_from_flags(
        str(model),
        inputs=tuple(given["inputs"] or ()),
        trust_pickle=given["trust_pickle"],
        **flags_of(given),
    )
    starter = write_starter(loaded, folder, force=force, schema=schema)
    command = search_command(starter.study, trust_pickle=loaded.trust_pickle)
    if json:
        print_json(
            {
                "folder": starter.folder,
                "files": starter.files,
                "source": starter.info.to_dict(),
                "space": {"name": starter.space, "why": starter.space_reason},
                "random_data": starter.random_data,
                "command": command,
            }
        )
    else:
        _print(starter, command)


def _example(name: str, output: Path | None, *, force: bool, as_json: bool) -> None:
    from hamerspace.search.starter.examples import copy_example
    from hamerspace.search.starter.text import search_command

    study = copy_example(name, output, force=force)
    command = search_command(study)
    if as_json:
        files = sorted(path.name for path in study.parent.iterdir())
        print_json({"folder": study.parent, "files": files, "command": command})
        return
    say(f"{study.parent}: a copy of the study {name}; run it with")
    say(f"    {command}")


def _print(starter: "Starter", command: str) -> None:
    info, out = starter.info, console()
    print_model(out, info)
    out.print(f"inputs: {'; '.join(map(str, info.inputs))}")
    out.print(f"outputs: {'; '.join(map(str, info.outputs))}")
    out.print(f"space: auto takes {starter.space}, since {starter.space_reason}")
    out.print(f"{starter.folder}: {', '.join(starter.files)}", soft_wrap=True)
    if starter.random_data:
        loader = next(name for name in starter.files if name.endswith(".py"))
        out.print(f"note: RANDOM DATA STAND IN until you load yours, in {loader}", style="yellow")
    out.print("run it with")
    out.print(f"    {command}", soft_wrap=True)
