"""What a target hardware means for a study."""

from hamerspace.config.flags import StudyFlags
from hamerspace.constraints import check_hardware

_FLAGS: dict[str | None, StudyFlags] = {
    None: {},
    "cpu": {"hardware": "cpu"},
    "arm": {"space": "arm"},
    "edge": {"space": "edge", "threads": 1, "objectives": ("size", "quality", "latency")},
    "gpu": {"hardware": "gpu"},
}


def hardware_flags(hardware: str | None) -> StudyFlags:
    """The flags that a kind of hardware stands for; ``None`` leaves a study as it is.

    Args:
        hardware: ``cpu``, ``arm``, ``edge`` (one thread, bytes first) or ``gpu`` (CUDA).

    Raises:
        ConfigError: There is no such kind.
    """
    check_hardware(hardware)
    return _FLAGS[hardware]
