"""Build and run candidates with PyTorch."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hamerspace.backends._parameters import complete_parameters
from hamerspace.backends.base import Backend, Candidate, Session
from hamerspace.backends.pytorch.config import CONFIG
from hamerspace.errors import BuildError
from hamerspace.recipe import Scalar
from hamerspace.tasks.model import Arrays, ModelArtifact

_PREDICT = '''\
from pathlib import Path

import numpy as np
import torch


def load(folder, threads=1):
    """Load the model in `folder`; return a function from named arrays to named arrays."""
    torch.set_num_threads(threads)
    path = str(Path(folder) / {model!r})
    {load}
    inputs, outputs = {inputs!r}, {outputs!r}

    def run(arrays):
        tensors = [
            torch.from_numpy(np.require(arrays[name], requirements=["C", "W"])) for name in inputs
        ]
        with torch.inference_mode():
            results = module(*tensors)
        return {{name: result.numpy() for name, result in zip(outputs, results)}}

    return run
'''
_LOADS = {
    "export": "module = torch.export.load(path).module()",
    "script": "module = torch.jit.load(path, map_location='cpu').eval()",
    "optimized": "module = torch.jit.optimize_for_inference(\n"
    "        torch.jit.load(path, map_location='cpu').eval()\n    )",
}


class PytorchBackend(Backend):
    """See :class:`~hamerspace.backends.pytorch.config.PytorchConfig` for the choices.

    A candidate is one file: a ``torch.export`` archive, or a TorchScript one, optimised further
    at load. Either takes the inputs by position and returns a tuple of float32 outputs.
    """

    def build(
        self,
        source: ModelArtifact,
        parameters: Mapping[str, Scalar],
        calibration: Sequence[Arrays] | None,
        workdir: Path,
    ) -> Candidate:
        chosen = complete_parameters(CONFIG, parameters)
        kind = str(chosen["quantization"])
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
        from hamerspace.backends.pytorch import lower, quantize
        from hamerspace.tasks.example import example_batch
        from hamerspace.tasks.torch_module import load_module, to_tensor
        from hamerspace.tasks.torch_threads import one_thread

        example = example_batch(source.inputs, calibration[0] if calibration else None)
        tensors = tuple(to_tensor(array) for array in example.values())
        with warnings.catch_warnings(), one_thread():
            # torch.ao and torch.jit announce their removal with every call.
            warnings.simplefilter("ignore")
            try:
                module = quantize.quantize(load_module(source), kind, tensors, calibration or ())
                if chosen.get("execution") != "eager":
                    metadata = lower.freeze(module, tensors, workdir)
                elif source.format == "torchscript":
                    metadata = lower.trace(module, tensors, workdir)
                else:
                    metadata = lower.export(module, tensors, source.inputs, workdir)
                lower.check(load_built(workdir, metadata), module, source.inputs, example)
            except BuildError:
                raise
            except Exception as error:
                lines = str(error).strip().splitlines() or [""]
                raise BuildError(
                    f"PyTorch cannot build {kind} ({chosen.get('execution', 'frozen')}): "
                    f"{type(error).__name__}: {lines[0]}"
                ) from error
        return Candidate(
            workdir,
            CONFIG.name,
            (metadata["model"],),
            source.inputs,
            source.outputs,
            metadata={**metadata, "quantization": kind},
        ).save()

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

        torch.set_num_threads(threads)
        if candidate.metadata["kind"] == "source":
            from hamerspace.tasks.torch_module import load_module

            module = load_module(ModelArtifact.load(candidate.folder))
        else:
            module = load_built(candidate.folder, candidate.metadata)
        return _Session(
            module,
            [spec.name for spec in candidate.inputs],
            [spec.name for spec in candidate.outputs],
        )

    def predict_source(self, candidate: Candidate) -> str:
        if candidate.metadata["kind"] == "source":
            raise BuildError("the source model is its user's own code and needs no predict.py")
        return _PREDICT.format(
            model=candidate.metadata["model"],
            load=_LOADS[candidate.metadata["kind"]],
            inputs=[spec.name for spec in candidate.inputs],
            outputs=[spec.name for spec in candidate.outputs],
        )


def load_built(folder: Path, metadata: Mapping[str, Any]) -> Any:
    """Load the file of a candidate as a function from tensors to a tuple of tensors."""
    import torch

    path = folder / str(metadata["model"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if metadata["kind"] == "export":
            return torch.export.load(path).module()
        module: Any = torch.jit.load(path, map_location="cpu").eval()  # type: ignore[no-untyped-call]
        if metadata["kind"] == "optimized":
            return torch.jit.optimize_for_inference(module)
        return module


class _Session(Session):
    def __init__(self, module: Any, inputs: list[str], outputs: list[str]) -> None:
        import numpy as np
        import torch

        self._module = module
        self._inputs = inputs
        self._outputs = outputs
        self._from_numpy = torch.from_numpy
        self._inference_mode = torch.inference_mode
        self._copy = np.array

    def run(self, batch: Arrays) -> Arrays:
        with self._inference_mode():
            results = self._module(*[self._tensor(batch[name]) for name in self._inputs])
            return {n: r.numpy() for n, r in zip(self._outputs, results, strict=True)}

    def _tensor(self, array: Any) -> Any:
        # torch takes writable arrays only; memory-mapped ones are not.
        return self._from_numpy(array if array.flags.carray else self._copy(array, order="C"))
