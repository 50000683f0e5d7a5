"""``hamerspace schema``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from hamerspace._files import write_text
from hamerspace.cli import completion
from hamerspace.cli.console import say
from hamerspace.errors import ConfigError, did_you_mean

_KINDS = ("study", "space")


def schema(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="study|space",
            help="Which kind of file.",
            autocompletion=completion.one_of(_KINDS),
        ),
    ] = "study",
    output: Annotated[
        Path | None, typer.Option(help="Write it to this file instead of printing it.")
    ] = None,
) -> None:
    """Print the JSON Schema of study files or of space files, for editors.

    An editor with a YAML language server takes it where the first line of the YAML file is
    '# yaml-language-server: $schema=study.schema.json', the name being that of the written file.
    """
    from hamerspace.config.space import space_schema
    from hamerspace.config.study import study_schema

    if kind not in _KINDS:
        raise ConfigError(f"schema: there is no schema of '{kind}'{did_you_mean(kind, _KINDS)}")
    text = json.dumps(study_schema() if kind == "study" else space_schema(), indent=2) + "\n"
    if output is None:
        say(text, end="")
    else:
        write_text(output, text)
        say(str(output))
