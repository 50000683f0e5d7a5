"""The GPU of this machine, found without importing a framework here."""

import json
import subprocess
import sys
from dataclasses import dataclass

from hamerspace.errors import HamerspaceError

_PROBE = """
import json
try:
    import torch
except ImportError:
    print(json.dumps({"reason": "torch is not installed (pip install 'hamerspace[pytorch]')"}))
    raise SystemExit
if torch.version.cuda is None:
    reason = f"torch {torch.__version__} is built without CUDA"
elif not torch.cuda.is_available():
    reason = f"torch {torch.__version__} for CUDA {torch.version.cuda} finds none"
else:
    name, capability = torch.cuda.get_device_name(), torch.cuda.get_device_capability()
    found = {"name": name, "capability": capability, "cuda": torch.version.cuda}
    print(json.dumps(found))
    raise SystemExit
print(json.dumps({"reason": reason}))
"""
_TIMEOUT_S = 120


@dataclass(frozen=True)
class Gpu:
    """A CUDA device as torch sees it.

    Attributes:
        name: Such as ``NVIDIA L4``.
        capability: Compute capability, major and minor.
        cuda: Version of CUDA that torch is built for.
    """

    name: str
    capability: tuple[int, int]
    cuda: str


def find_gpu() -> Gpu:
    """The first CUDA device, asked of torch in a process of its own.

    Raises:
        HamerspaceError: There is none, or torch cannot use it.
    """
    try:
        command, quiet = [sys.executable, "-c", _PROBE], subprocess.DEVNULL
        told = subprocess.check_output(command, text=True, stderr=quiet, timeout=_TIMEOUT_S)  # noqa: S603 - our own script
        found = json.loads(told.strip().splitlines()[-1])
    except (subprocess.SubprocessError, OSError, ValueError, IndexError) as error:
        raise HamerspaceError(f"no CUDA device: asking torch failed ({error}); use cpu") from error
    if "reason" in found:
        raise HamerspaceError(f"no CUDA device: {found['reason']}; use target.hardware cpu")
    return Gpu(found["name"], tuple(found["capability"]), found["cuda"])
