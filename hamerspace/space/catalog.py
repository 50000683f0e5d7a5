"""Where space files are found: beside the study, or among those that come with Hamerspace."""

from pathlib import Path

from hamerspace.config.packaged import packaged_spaces
from hamerspace.config.study import AUTO_SPACE, is_path
from hamerspace.errors import ConfigError, did_you_mean
from hamerspace.tasks.model import SourceInfo

ARM_MACHINES = ("aarch64", "arm64")
"""What ``platform.machine()`` says on ARM."""


def find_space_file(name: str, root: Path) -> Path:
    """The file of a space given by name, or by a path relative to ``root``.

    Raises:
        ConfigError: There is neither such a file nor a space of that name.
    """
    if is_path(name):
        path = root / Path(name).expanduser()
        if not path.is_file():
            raise ConfigError(f"space: no file {path}")
        return path
    known = packaged_spaces()
    if name not in known:
        raise ConfigError(f"space: unknown space '{name}'{did_you_mean(name, known)}")
    return known[name]


def choose_space(source: SourceInfo, hardware: str, machine: str) -> tuple[str, str]:
    """Which space ``auto`` takes for a model, and why.

    Args:
        source: The inspected model.
        hardware: ``cpu`` or ``gpu``.
        machine: As :attr:`Host.machine <hamerspace.backends.base.Host.machine>`.
    """
    families = set(source.op_families)
    if hardware == "gpu":
        return "gpu", "the target is a GPU"
    if "rnn" in families:
        return "rnn", "the model has recurrent layers"
    if "attention" in families and "conv" not in families:
        return "transformer", "the model has attention and no convolutions"
    if machine in ARM_MACHINES:
        return "arm", "the target has an ARM processor"
    made_of = ", ".join(sorted(families)) or "no layers with weights"
    return "cpu", f"the model is made of {made_of}"


def space_texts(name: str, root: Path) -> list[str]:
    """The text behind a space; for ``auto``, of all that it may take."""
    if name == AUTO_SPACE:
        return [path.read_text() for path in packaged_spaces().values()]
    return [find_space_file(name, root).read_text()]
