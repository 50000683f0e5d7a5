"""Build and run candidates with PyTorch."""

import copy
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hamerspace._text import first_line
from hamerspace.backends._predict import predict_text
from hamerspace.backends._sensitivity import Run, rank
from hamerspace.backends.base import Backend, BuildJob, Session
from hamerspace.backends.candidate import Candidate
from hamerspace.backends.pytorch.config import CONFIG
from hamerspace.backends.pytorch.schemes import SCHEMES
from hamerspace.errors import BuildError, DeviceError
from hamerspace.tasks.model import Arrays, ModelArtifact

_LOAD = """
torch.set_num_threads(threads)
device = {device!r}
module = {load}
"""
_LOADERS = {
    "export": "torch.export.load(path).module()",
    "inductor": "torch._inductor.aoti_load_package(path)",
    "script": "torch.jit.load(path, map_location=device).eval()",
    "optimized": "torch.jit.optimize_for_inference(\n"
    "    torch.jit.load(path, map_location=device).eval()\n)",
}
_RUN = """
tensors = [
    torch.from_numpy(np.require(arrays[name], requirements=["C", "W"])).to(device)
    for name in inputs
]
with torch.inference_mode():
    found = module(*tensors)
if isinstance(found, torch.Tensor):  # a model with one output returns it by itself
    found = [found]
results = [tensor.cpu().numpy() for tensor in found]
"""


class PytorchBackend(Backend):
    """See :class:`~hamerspace.backends.pytorch.config.PytorchConfig` for the choices.

    A candidate is one file that runs without the model's Python code: a ``torch.export`` archive,
    a TorchScript one, optimised further at load, or a package that inductor compiled for this
    kind of processor or GPU. All take the inputs by position and return float32 outputs: the only
    one by itself, several as a tuple. What bitsandbytes quantised calls its operators, so it runs
    where that is installed.
    """

    config = CONFIG

    def make(self, job: BuildJob) -> Candidate:
        source, execution = job.source, _execution(job)
        kind, device = _scheme(job)
        _refuse(source, kind, device)
        from hamerspace.backends.pytorch import lower
        from hamerspace.backends.pytorch.quantize import quantize, weights_by_type
        from hamerspace.backends.pytorch.session import load_built

        with _quietly():
            example, tensors, module = _opened(job)
            module = quantize(module, kind, tensors, job.calibration or (), job.float_layers)
            weights = {} if kind == "none" else weights_by_type(module)
            if execution == "inductor":
                metadata = lower.compile_package(module, tensors, source.inputs, job.workdir)
            elif execution == "frozen":
                metadata = lower.freeze(module, tensors, job.workdir)
            elif source.format == "torchscript":
                metadata = lower.trace(module, tensors, job.workdir)
            else:
                metadata = lower.export(module, tensors, source.inputs, job.workdir)
            metadata = {**metadata, "quantization": kind, "device": device}
            built = load_built(job.workdir, metadata)
            lower.check(built, module, source.inputs, example, device)
        metadata["weights"] = weights
        return self.candidate(source, job.workdir, metadata["model"], **metadata)

    def rank(self, job: BuildJob, batches: Sequence[Arrays]) -> list[tuple[str, float]]:
        kind, device = _scheme(job)
        _refuse(job.source, kind, device)
        from hamerspace.backends.pytorch.quantize import (
            quantizable_layers,
            quantize,
            slow_attention,
        )

        def quantize_only(layer: str) -> Run:
            return quantize(copy.deepcopy(module), kind, tensors, batches, only=layer).run

        with _quietly(), slow_attention():
            _, tensors, module = _opened(job)
            return rank(quantizable_layers(module, kind), module.run, batches, quantize_only)

    def explain(self, job: BuildJob, error: Exception) -> str:
        kind, _ = _scheme(job)
        text = f"{type(error).__name__}: {first_line(error)}"
        return f"PyTorch cannot build {kind} ({_execution(job)}): {text}"

    def wrap_source(self, source: ModelArtifact) -> Candidate:
        if source.format not in CONFIG.model_formats:
            return super().wrap_source(source)
        key = "weights" if source.format == "pytorch" else "model"
        return self.candidate(source, source.folder, str(source.metadata[key]), kind="source")

    def load(self, candidate: Candidate, threads: int) -> Session:
        import torch

        from hamerspace.backends.pytorch.session import CpuSession, CudaSession, load_built

        torch.set_num_threads(threads)
        # The target says where a source model runs, the build where a candidate does.
        device = str({**candidate.runtime, **candidate.metadata}.get("device", "cpu"))
        if device != "cpu" and not torch.cuda.is_available():
            raise DeviceError("the candidate was built for a GPU, and torch finds no CUDA device")
        if candidate.metadata["kind"] == "source":
            from hamerspace.tasks.torch_module import load_module

            module: Any = load_module(ModelArtifact.load(candidate.folder))
            if device != "cpu":
                module = module.to(device)
        else:
            module = load_built(candidate.folder, candidate.metadata)
        session = CpuSession if device == "cpu" else CudaSession
        return session(
            module,
            [spec.name for spec in candidate.inputs],
            [spec.name for spec in candidate.outputs],
        )

    def predict_source(self, candidate: Candidate) -> str:
        metadata = candidate.metadata
        if metadata["kind"] == "source":
            raise BuildError("the source model is its user's own code and needs no predict.py")
        imports = "import torch"
        if str(metadata["quantization"]).startswith("bitsandbytes"):
            imports += "\nimport bitsandbytes  # its operators"
        load = _LOAD.format(device=metadata["device"], load=_LOADERS[metadata["kind"]])
        return predict_text(candidate, imports, load, _RUN)


def _scheme(job: BuildJob) -> tuple[str, str]:
    """The quantization and the device."""
    return str(job.parameters["quantization"]), str(job.parameters["device"])


def _execution(job: BuildJob) -> str:
    return SCHEMES[_scheme(job)[0]].execution or str(job.parameters["execution"])


def _refuse(source: ModelArtifact, kind: str, device: str) -> None:
    if kind != "none" and source.format != "pytorch":
        raise BuildError(
            f"pytorch.quantization {kind} needs a pytorch module, not a {source.format} model"
        )
    if device != "cpu":
        import torch

        if not torch.cuda.is_available():
            raise BuildError(f"pytorch.device {device}: torch finds no CUDA device; choose cpu")


def _opened(job: BuildJob) -> tuple[Arrays, tuple[Any, ...], Any]:
    """An example by name and in call order, and the module, both on the device."""
    from hamerspace.tasks.example import example_batch
    from hamerspace.tasks.torch_module import load_module, to_tensor

    example = example_batch(job.source.inputs, job.calibration[0] if job.calibration else None)
    _, device = _scheme(job)
    tensors = tuple(to_tensor(array).to(device) for array in example.values())
    module = load_module(job.source)
    return example, tensors, module if device == "cpu" else module.to(device)


@contextmanager
def _quietly() -> Iterator[None]:
    """On one thread, without what torch.ao and torch.jit say of their removal at every call."""
    from hamerspace.tasks.torch_threads import one_thread

    with warnings.catch_warnings(action="ignore"), one_thread():
        yield
