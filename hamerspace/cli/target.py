"""What the arguments of a command say of a study."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hamerspace.cli import options

if TYPE_CHECKING:
    from hamerspace.config.flags import StudyFlags
    from hamerspace.study import Study

_FLAGS = {
    "data": "data",
    "weights": "weights",
    "constants": "constants",
    "metric": "metric",
    "direction": "direction",
    "output_name": "output",
    "batch_size": "batch_size",
    "threads": "threads",
    "space": "space",
    "goal": "goal",
    "max_latency_ms": "max_latency_ms",
    "max_size_mb": "max_size_mb",
    "max_accuracy_drop": "max_accuracy_drop",
    "max_memory_mb": "max_memory_mb",
    "max_download_mb": "max_download_mb",
    "trials": "trials",
    "timeout": "timeout_s",
    "build_timeout": "build_timeout_s",
    "min_gain_percent": "min_gain_percent",
    "sampler": "sampler",
    "seed": "seed",
}
"""Parameter of a command to the flag of a study that has its value."""


def flags_of(given: Mapping[str, Any]) -> "StudyFlags":
    """The flags of a study among the arguments of a command; what is not given is left out.

    A target hardware stands for several flags, which others go over.

    Args:
        given: The command's arguments by name: its ``locals()``.

    Raises:
        ConfigError: The hardware is unknown, or a list of objectives is empty.
    """
    from hamerspace.config.flags import merged
    from hamerspace.config.hardware import hardware_flags

    own: Any = {flag: given.get(name) for name, flag in _FLAGS.items()}
    own["objectives"] = options.words("--objectives", given.get("objectives"))
    own["history"] = options.history(no_history=bool(given.get("no_history")))
    return merged(hardware_flags(given.get("target_hardware")), own)


def study_of(
    target: str,
    given: Mapping[str, Any],
    *,
    backends: tuple[str, ...] | None = None,
    before: "StudyFlags | None" = None,
) -> "Study":
    """The study of a file, with flags over it, or one made of a model and flags.

    Args:
        target: The study file or the model.
        given: The command's arguments by name: its ``locals()``.
        backends: Restrict the space to these.
        before: Flags that those in ``given`` go over.

    Raises:
        ConfigError: The file or a flag is wrong.
    """
    from hamerspace.config.flags import merged
    from hamerspace.study import Study

    inputs = given["inputs"]
    common = {
        "out": given.get("out"),
        "storage": given.get("storage"),
        "backends": backends,
        "trust_pickle": given["trust_pickle"],
    }
    flags = merged(before or {}, flags_of(given))
    if options.is_study(target, input=inputs):
        return Study.from_yaml(target, **common, **flags)
    return Study.from_model(target, inputs=tuple(inputs or ()), **common, **flags)
