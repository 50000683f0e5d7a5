"""Arguments and flags that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from hamerspace.cli import completion
from hamerspace.errors import BackendUnavailableError, ConfigError, did_you_mean

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
Data = Annotated[
    str | None, typer.Option(help="An .npz of named arrays: the inputs, and 'labels'.")
]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        help="Shape of an input where no data tell it: NAME=1x3x224x224[:dtype]; the only input "
        "needs no name.",
    ),
]
Weights = Annotated[
    str | None, typer.Option(help="Weights for module:function: .safetensors or a state dict.")
]
Constants = Annotated[
    list[str] | None,
    typer.Option(
        "--constant",
        help="An input without rows, such as an initial state; again for each.",
    ),
]
Metric = Annotated[
    str | None,
    typer.Option(
        help="A metric's name, or module:function(outputs, labels).",
        autocompletion=completion.metrics,
    ),
]
Direction = Annotated[
    str | None,
    typer.Option(
        help="Of your own metric: maximize or minimize.", autocompletion=completion.directions
    ),
]
OutputName = Annotated[
    str | None, typer.Option("--output-name", help="The model's output that is judged.")
]
SpaceName = Annotated[
    str | None,
    typer.Option(
        "--space", help="A space's name, auto, or a space file.", autocompletion=completion.spaces
    ),
]
Goal = Annotated[
    str | None,
    typer.Option(
        help="auto, quantize, prune or distill; default: auto.", autocompletion=completion.goals
    ),
]
Backends = Annotated[
    str | None,
    typer.Option(
        help="Search only these, separated by commas.", autocompletion=completion.backends
    ),
]
MaxLatency = Annotated[float | None, typer.Option(help="Limit on the median latency of one batch.")]
MaxSize = Annotated[
    float | None, typer.Option(help="Limit on the size of all files, MB of 10^6 bytes.")
]
MaxDrop = Annotated[
    float | None, typer.Option(help="Limit on the loss of quality, in points (hundredths).")
]
MaxMemory = Annotated[
    float | None, typer.Option(help="Limit on peak memory over the bare runtime.")
]
MaxDownload = Annotated[
    float | None, typer.Option(help="Limit on the size of all files, compressed.")
]
Seed = Annotated[int | None, typer.Option(help="Seed of every random draw.")]
BatchSize = Annotated[int | None, typer.Option(help="The deployment batch size.")]
Threads = Annotated[int | None, typer.Option(help="Threads of one inference.")]
Hardware = Annotated[
    str | None,
    typer.Option(
        "--target-hardware",
        help="cpu, gpu (CUDA), or arm or edge: the space of that name, and for edge one thread "
        "and size first.",
        autocompletion=completion.hardware,
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Where the run folder holds another study, set it aside and search anew.",
    ),
]
NoHistory = Annotated[
    bool,
    typer.Option(
        "--no-history",
        help="Neither begin with what earlier studies found nor keep what this does.",
    ),
]
TrustPickle = Annotated[
    bool,
    typer.Option(
        "--trust-pickle", help="Load a pickled model: it can run any code, so only if it is yours."
    ),
]


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


def history(*, no_history: bool) -> bool | None:
    """What ``--no-history`` means for a study; without it, the study file decides."""
    return False if no_history else None


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
