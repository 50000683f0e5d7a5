"""What the arguments of a command say of a study."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hamerspace.cli import options
from hamerspace.config.flags import StudyFlags, hardware_flags, merged
from hamerspace.config.settings import SETTINGS

if TYPE_CHECKING:
    from hamerspace.study import Study


def flags_of(given: Mapping[str, Any]) -> StudyFlags:
    """The flags of a study among the arguments of a command; what is not given is left out.

    A target hardware stands for several flags, which others go over.

    Args:
        given: What :func:`~hamerspace.cli.options.of_study` gives a command.

    Raises:
        ConfigError: The hardware is unknown, or a list of objectives is empty.
    """
    own = {name: value for name, value in given.items() if name in SETTINGS}
    own["objectives"] = options.words("--objectives", given.get("objectives"))
    if given.get("no_history"):
        own["history"] = False
    return merged(hardware_flags(given.get("target_hardware")), own)


def study_of(
    target: str,
    given: Mapping[str, Any],
    *,
    out: Path | None = None,
    storage: str | None = None,
    before: StudyFlags | None = None,
) -> "Study":
    """The study of a file, with flags over it, or one made of a model and flags.

    Args:
        target: The study file or the model.
        given: What :func:`~hamerspace.cli.options.of_study` gives a command.
        out: Folder of the outputs.
        storage: Optuna storage URL.
        before: Flags that those in ``given`` go over.

    Raises:
        ConfigError: The file or a flag is wrong.
        BackendUnavailableError: There is no such backend.
    """
    from hamerspace.study import Study

    inputs = given["inputs"]
    common: dict[str, Any] = {
        "out": out,
        "storage": storage,
        "backends": options.backend_names(given.get("backends")),
        "trust_pickle": given["trust_pickle"],
    }
    flags = merged(before or {}, flags_of(given))
    if options.is_study(target, input=inputs):
        return Study.from_yaml(target, **common, **flags)
    return Study.from_model(target, inputs=tuple(inputs or ()), **common, **flags)
