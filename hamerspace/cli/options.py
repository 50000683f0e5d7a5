"""Arguments and flags that several commands share."""

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args

import typer

from hamerspace.cli import completion
from hamerspace.errors import BackendUnavailableError, ConfigError, did_you_mean

if TYPE_CHECKING:
    from hamerspace.config.settings import Setting

_KEYWORD = inspect.Parameter.KEYWORD_ONLY

Run = Annotated[
    Path,
    typer.Argument(
        help="Folder of a run, such as runs/fashion_mnist.", autocompletion=completion.run_folders
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Target = Annotated[
    str,
    typer.Argument(
        metavar="STUDY|MODEL",
        help="A study.yaml; or a model: .onnx, .pt2, TorchScript .pt, .keras, .h5, .tflite, the "
        "folder of a SavedModel or a Hugging Face model, or module:function.",
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Where the run folder holds another study, set it aside and search anew.",
    ),
]
_OWN: dict[str, Any] = {
    "inputs": Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            help="Shape of an input where no data tell it: NAME=1x3x224x224[:dtype]; the only "
            "input needs no name.",
        ),
    ],
    "backends": Annotated[
        str | None,
        typer.Option(
            help="Search only these, separated by commas.", autocompletion=completion.backends
        ),
    ],
    "target_hardware": Annotated[
        str | None,
        typer.Option(
            help="cpu, gpu (CUDA), or arm or edge: the space of that name, and for edge one "
            "thread and size first.",
            autocompletion=completion.hardware,
        ),
    ],
    "no_history": Annotated[
        bool,
        typer.Option(
            "--no-history",
            help="Neither begin with what earlier studies found nor keep what this does.",
        ),
    ],
    "trust_pickle": Annotated[
        bool,
        typer.Option(
            "--trust-pickle",
            help="Load a pickled model: it can run any code, so only if it is yours.",
        ),
    ],
}
"""What of a study is said in another way than in its file."""

TASK = ("data", "inputs", "weights", "metric", "direction", "output")
"""How a model is judged."""
LIMITS, SHORT_LIMITS = "limits", "short limits"
"""Stand for all limits: by their own names, or without ``max`` and the unit."""

Command = TypeVar("Command", bound=Callable[..., None])


def of_study(*names: str, **texts: str) -> Callable[[Command], Command]:
    """Have a command's ``**given`` take settings of a study, and say of each what its file says.

    Args:
        names: Of settings, of what is in ``_OWN``, or of all limits.
        texts: Name to help where the study file's does not hold.
    """

    def mark(command: Command) -> Command:
        command.__dict__["settings"] = (names, texts)
        return command

    return mark


def name_settings(command: Callable[..., None]) -> None:
    """Write what :func:`of_study` names into the command's signature, which typer reads."""
    signature = inspect.signature(command)
    if "given" not in signature.parameters:
        return
    names, texts = vars(command)["settings"]
    first = [p for p in signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    last = [p for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY]
    added = [parameter for name in names for parameter in _parameters(name, texts.get(name))]
    command.__dict__["__signature__"] = signature.replace(parameters=[*first, *added, *last])


def _parameters(name: str, text: str | None) -> Iterator[inspect.Parameter]:
    from hamerspace.config.settings import SETTINGS, limits

    if name in (LIMITS, SHORT_LIMITS):
        for limit in limits():
            short = re.sub(r"^max_|_(mb|ms)$", "", limit) if name == SHORT_LIMITS else limit
            yield _option(SETTINGS[limit], f"--{short.replace('_', '-')}", text)
    elif name in _OWN:
        default = False if get_args(_OWN[name])[0] is bool else None
        yield inspect.Parameter(name, _KEYWORD, default=default, annotation=_OWN[name])
    else:
        yield _option(SETTINGS[name], SETTINGS[name].option, text)


def _option(setting: "Setting", option: str, text: str | None) -> inspect.Parameter:
    kind, several, complete = setting.type, setting.type == list[str], None
    text = text or setting.help
    if setting.choices:
        complete = (completion.several_of if several else completion.one_of)(setting.choices)
        kind = str
        text += " Separated by commas." if several else ""
    elif several:
        text += " Again for each."
    info = typer.Option(
        option, help=text, autocompletion=completion.OF_SETTINGS.get(setting.name, complete)
    )
    return inspect.Parameter(
        setting.name, _KEYWORD, default=None, annotation=Annotated[kind | None, info]
    )


def is_study(target: str, **only_for_models: object) -> bool:
    """Whether an argument names a study file rather than a model.

    Args:
        target: The argument.
        only_for_models: Flags, by name, that say what a study file says itself.

    Raises:
        ConfigError: One of these flags is given with a study file.
    """
    if not target.endswith((".yaml", ".yml")):
        return False
    refuse(f"{target} says this itself, under 'task'", **only_for_models)
    return True


def refuse(why: str, **flags: object) -> None:
    """Refuse flags that are only for models, rather than ignore them.

    Raises:
        ConfigError: One of them is given.
    """
    for flag, value in flags.items():
        if value:
            raise ConfigError(f"--{flag.replace('_', '-')}: is for a model; {why}")


def words(flag: str, text: str | None) -> tuple[str, ...] | None:
    """The words of a list separated by commas; ``None`` where the flag is not given.

    Raises:
        ConfigError: The list is empty.
    """
    if text is None:
        return None
    found = tuple(word.strip() for word in text.split(",") if word.strip())
    if not found:
        raise ConfigError(f"{flag}: names nothing; name one or more, separated by commas")
    return found


def backend_names(text: str | None) -> tuple[str, ...] | None:
    """The names after ``--backends``, refused before any model is read where they are unknown.

    Raises:
        BackendUnavailableError: There is no such backend.
    """
    names = words("--backends", text)
    if names is None:
        return None
    from hamerspace.backends import BACKENDS

    for name in names:
        if name not in BACKENDS:
            hint = did_you_mean(name, BACKENDS)
            raise BackendUnavailableError(f"--backends: unknown backend '{name}'{hint}")
    return names
