"""What a shell completes. It must answer at once, so nothing heavy is imported.

Names whose own modules import numpy or the entry points of other packages stand here again, or a
shell would wait twice as long for them. A test holds them against those modules.

A function that finds nothing returns nothing: the shell then completes file names.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from hamerspace.config.packaged import EXAMPLES, packaged_spaces
from hamerspace.constraints import HARDWARE

BACKENDS = ("litert", "onnxruntime", "openvino", "pytorch", "tvm")
METRICS = (
    "accuracy",
    "top5_accuracy",
    "balanced_accuracy",
    "f1_macro",
    "average_precision",
    "roc_auc",
    "r2",
    "rmse",
    "mae",
    "agreement",
    "cosine",
    "fidelity_r2",
    "fidelity_r2_all",
)
TOOL_ENVIRONMENTS = ("litert-torch", "tvm")
_RUN_FILE = "run.json"

Complete = Callable[[str], list[str]]


def one_of(names: Iterable[str]) -> Complete:
    """Complete one name."""
    known = tuple(names)

    def complete(incomplete: str) -> list[str]:
        return [name for name in known if name.startswith(incomplete)]

    return complete


def several_of(names: Iterable[str]) -> Complete:
    """Complete the last name of a list separated by commas."""
    known = tuple(names)

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        given = before.split(",")
        left = (name for name in known if name not in given)
        return [f"{before}{comma}{name}" for name in left if name.startswith(last)]

    return complete


def spaces(incomplete: str) -> list[str]:
    """Complete the name of a space."""
    return one_of([*packaged_spaces(), "auto"])(incomplete)


def run_folders(incomplete: str) -> list[str]:
    """Complete the folder of a run: those in ``runs/``, and those below what is typed."""
    parent = Path(incomplete if incomplete.endswith("/") else Path(incomplete).parent)
    found = {str(path) for path in (*_runs_in(Path("runs")), *_runs_in(parent))}
    return sorted(name for name in found if name.startswith(incomplete))


def _runs_in(folder: Path) -> Iterator[Path]:
    try:
        yield from (path for path in folder.iterdir() if (path / _RUN_FILE).is_file())
    except OSError:  # not there, or not to be read: nothing to offer
        return


backends = several_of(BACKENDS)
examples = one_of(EXAMPLES)
tool_environments = one_of(TOOL_ENVIRONMENTS)
hardware = one_of(HARDWARE)
OF_SETTINGS: dict[str, Complete] = {"metric": one_of(METRICS), "space": spaces}
"""Settings whose words their type does not tell."""
