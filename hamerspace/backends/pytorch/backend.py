"""Build and run candidates with PyTorch."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hamerspace.backends._parameters import complete_parameters
from hamerspace.backends.base import Backend, Candidate, Session
from hamerspace.backends.pytorch.config import CONFIG
from hamerspace.backends.pytorch.predict import predict_text
from hamerspace.backends.pytorch.schemes import SCHEMES
from hamerspace.errors import BuildError, DeviceError
from hamerspace.recipe import Scalar
from hamerspace.tasks.model import Arrays, ModelArtifact


class PytorchBackend(Backend):
    """See :class:`~hamerspace.backends.pytorch.config.PytorchConfig` for the choices.

    A candidate is one file that runs without the model's Python code: a ``torch.export`` archive,
    a TorchScript one, optimised further at load, or a package that inductor compiled for this
    kind of processor or GPU. All take the inputs by position and return float32 outputs: the only
    one by itself, several as a tuple. What bitsandbytes quantised calls its operators, so it runs
    where that is installed.
    """

    def build(
        self,
        source: ModelArtifact,
        parameters: Mapping[str, Scalar],
        calibration: Sequence[Arrays] | None,
        workdir: Path,
        float_layers: Sequence[str] = (),
    ) -> Candidate:
        chosen = complete_parameters(CONFIG, parameters)
        kind, device = str(chosen["quantization"]), str(chosen["device"])
        execution = SCHEMES[kind].execution or str(chosen["execution"])
        _refuse(source, kind, calibration, device)
        from hamerspace.backends.pytorch import lower
        from hamerspace.backends.pytorch.inductor import compile_package
        from hamerspace.backends.pytorch.quantize import quantize, weights_by_type
        from hamerspace.backends.pytorch.session import load_built
        from hamerspace.tasks.example import example_batch
        from hamerspace.tasks.torch_module import load_module, to_tensor

        example = example_batch(source.inputs, calibration[0] if calibration else None)
        with _building(f"{kind} ({execution})"):
            tensors = tuple(to_tensor(array).to(device) for array in example.values())
            module = load_module(source)
            if device != "cpu":
                module = module.to(device)
            module = quantize(module, kind, tensors, calibration or (), float_layers)
            weights = {} if kind == "none" else weights_by_type(module)
            if execution == "inductor":
                metadata = compile_package(module, tensors, source.inputs, workdir)
            elif execution == "frozen":
                metadata = lower.freeze(module, tensors, workdir)
            elif source.format == "torchscript":
                metadata = lower.trace(module, tensors, workdir)
            else:
                metadata = lower.export(module, tensors, source.inputs, workdir)
            metadata = {**metadata, "quantization": kind, "device": device}
            built = load_built(workdir, metadata)
            lower.check(built, module, source.inputs, example, device)
            metadata["weights"] = weights
        candidate = Candidate(
            workdir,
            CONFIG.name,
            (metadata["model"],),
            source.inputs,
            source.outputs,
            metadata=metadata,
        )
        return CONFIG.checked(candidate, chosen).save()

    def sensitivity(
        self,
        source: ModelArtifact,
        parameters: Mapping[str, Scalar],
        calibration: Sequence[Arrays] | None,
        workdir: Path,  # noqa: ARG002 - nothing is written
    ) -> list[tuple[str, float]]:
        chosen = complete_parameters(CONFIG, parameters)
        kind, device = str(chosen["quantization"]), str(chosen["device"])
        if not SCHEMES[kind].ranked:
            raise BuildError(f"pytorch.quantization {kind} keeps no single layers in float")
        _refuse(source, kind, calibration, device)
        from hamerspace.backends.pytorch.sensitivity import rank_layers
        from hamerspace.tasks.example import example_batch
        from hamerspace.tasks.torch_module import load_module, to_tensor

        example = example_batch(source.inputs, calibration[0] if calibration else None)
        with _building(f"the ranking for {kind}"):
            tensors = tuple(to_tensor(array).to(device) for array in example.values())
            module = load_module(source).to(device)
            return rank_layers(module, kind, source.inputs, tensors, calibration)

    def wrap_source(self, source: ModelArtifact) -> Candidate:
        if source.format not in CONFIG.model_formats:
            raise BuildError(f"PyTorch cannot run {source.format} models")
        key = "weights" if source.format == "pytorch" else "model"
        return Candidate(
            source.folder,
            CONFIG.name,
            (str(source.metadata[key]),),
            source.inputs,
            source.outputs,
            metadata={"kind": "source"},
        )

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
        if candidate.metadata["kind"] == "source":
            raise BuildError("the source model is its user's own code and needs no predict.py")
        return predict_text(candidate)


def _refuse(
    source: ModelArtifact, kind: str, calibration: Sequence[Arrays] | None, device: str
) -> None:
    if source.format not in CONFIG.model_formats:
        raise BuildError(f"PyTorch cannot run {source.format} models")
    if kind != "none" and source.format != "pytorch":
        raise BuildError(
            f"pytorch.quantization {kind} needs a pytorch module, not a {source.format} model"
        )
    if kind == "static_int8" and not calibration:
        raise BuildError(
            "pytorch.quantization static_int8 needs calibration data; "
            "give the task data, or choose dynamic_int8"
        )
    if device != "cpu":
        import torch

        if not torch.cuda.is_available():
            raise BuildError(f"pytorch.device {device}: torch finds no CUDA device; choose cpu")


@contextmanager
def _building(what: str) -> Iterator[None]:
    """Tell whatever torch raises in one line, as a failure to build."""
    from hamerspace.tasks.torch_threads import one_thread

    with warnings.catch_warnings(), one_thread():
        # torch.ao and torch.jit announce their removal with every call.
        warnings.simplefilter("ignore")
        try:
            yield
        except BuildError:
            raise
        except Exception as error:
            lines = str(error).strip().splitlines() or [""]
            raise BuildError(
                f"PyTorch cannot build {what}: {type(error).__name__}: {lines[0]}"
            ) from error
