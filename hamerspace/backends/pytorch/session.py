"""Load what was built and run it on named arrays; light, as measuring processes import it."""

import tempfile
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hamerspace.backends.base import Session
from hamerspace.tasks.model import Arrays

Function = Callable[..., Tensor | Sequence[Tensor]]
"""From tensors to the only output by itself, or to the outputs in order."""


def load_built(folder: Path, metadata: Mapping[str, Any]) -> Function:
    """Load the file of a candidate as a function on tensors."""
    path, kind = folder / str(metadata["model"]), metadata["kind"]
    if kind == "inductor":
        return _load_package(path, str(metadata["device"]))
    if str(metadata["quantization"]).startswith("bitsandbytes"):
        import bitsandbytes  # noqa: F401 - registers the operators that the archive calls
    with warnings.catch_warnings(action="ignore"):
        if kind == "export":
            program: Function = torch.export.load(path).module()
            return program
        module: Any = torch.jit.load(path, map_location=str(metadata["device"])).eval()  # type: ignore[no-untyped-call]
        return torch.jit.optimize_for_inference(module) if kind == "optimized" else module


def in_order(outputs: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    """What a :data:`Function` returned, as a sequence."""
    return (outputs,) if isinstance(outputs, Tensor) else outputs


def _load_package(path: Path, device: str) -> Function:
    """Load what inductor compiled.

    ``torch._inductor.aoti_load_package`` does the same, but imports the whole compiler: seconds
    and 90 MB that the model itself does not need.
    """
    aoti: Any = torch._C._aoti  # noqa: SLF001 - see above
    if device == "cpu":
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
            library = next(name for name in archive.namelist() if name.endswith(".so"))
            # Once mapped, the file may go: nothing is left behind, however the process ends.
            runner = aoti.AOTIModelContainerRunnerCpu(archive.extract(library, folder), 1)
    else:
        runner = aoti.AOTIModelPackageLoader(str(path), "model", False, 1, -1)

    def run(*tensors: Tensor) -> list[Tensor]:
        outputs: list[Tensor] = runner.run(list(tensors))
        return outputs

    return run


def _tensor(array: npt.NDArray[Any]) -> Tensor:
    # torch takes writable arrays only; memory-mapped ones are not.
    return torch.from_numpy(array if array.flags.carray else np.array(array, order="C"))


class CpuSession(Session):
    """Arrays and tensors share memory, so that running costs what the model costs."""

    def __init__(self, module: Function, inputs: list[str], outputs: list[str]) -> None:
        self._module = module
        self._inputs = inputs
        self._outputs = outputs

    def run(self, batch: Arrays) -> Arrays:
        with torch.inference_mode():
            results = in_order(self._module(*[_tensor(batch[name]) for name in self._inputs]))
            return {n: r.numpy() for n, r in zip(self._outputs, results, strict=True)}


class CudaSession(CpuSession):
    """Moves the inputs to the GPU and the outputs back, which is part of the latency."""

    def __init__(self, module: Function, inputs: list[str], outputs: list[str]) -> None:
        super().__init__(module, inputs, outputs)
        torch.cuda.reset_peak_memory_stats()

    def run(self, batch: Arrays) -> Arrays:
        with torch.inference_mode():
            tensors = [_tensor(batch[name]).to("cuda") for name in self._inputs]
            results = in_order(self._module(*tensors))
            return {n: r.cpu().numpy() for n, r in zip(self._outputs, results, strict=True)}

    def device_ns(self, batches: Sequence[Arrays]) -> list[int]:
        """Nanoseconds between CUDA events around each run, the copies to and fro included."""
        found = []
        torch.cuda.synchronize()
        for batch in batches:
            begin: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            end: Any = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            begin.record()
            self.run(batch)
            end.record()
            end.synchronize()
            found.append(round(begin.elapsed_time(end) * 1e6))
        return found

    def peak_device_bytes(self) -> int:
        """Most bytes that tensors took on the GPU, weights included."""
        return torch.cuda.max_memory_allocated()
