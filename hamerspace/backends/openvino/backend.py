"""Build and run candidates with OpenVINO."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hamerspace.backends._parameters import complete_parameters
from hamerspace.backends.base import Backend, Candidate, Session
from hamerspace.backends.openvino.config import CONFIG
from hamerspace.errors import BuildError
from hamerspace.recipe import Scalar
from hamerspace.tasks.model import Arrays, ModelArtifact

_MODEL, _WEIGHTS = "model.xml", "model.bin"

_PREDICT = '''\
from pathlib import Path

import numpy as np
import openvino


def load(folder, threads=1):
    """Load the model in `folder`; return a function from named arrays to named arrays."""
    options = {{**{options!r}, "INFERENCE_NUM_THREADS": threads}}
    compiled = openvino.Core().compile_model(str(Path(folder) / {model!r}), "CPU", options)
    request = compiled.create_infer_request()
    inputs, outputs = {inputs!r}, {outputs!r}

    def run(arrays):
        request.infer({{name: np.asarray(arrays[name]) for name in inputs}})
        results = {{name: request.get_tensor(name).data.copy() for name in outputs}}
        return {{
            name: result.astype(np.float32) if result.dtype == np.float16 else result
            for name, result in results.items()
        }}

    return run
'''


class OpenVinoBackend(Backend):
    """See :class:`~hamerspace.backends.openvino.config.OpenVinoConfig` for the choices."""

    def build(
        self,
        source: ModelArtifact,
        parameters: Mapping[str, Scalar],
        calibration: Sequence[Arrays] | None,
        workdir: Path,
    ) -> Candidate:
        chosen = complete_parameters(CONFIG, parameters)
        kind = chosen["quantization"]
        if kind == "int8" and not calibration:
            raise BuildError(
                "openvino.quantization int8 needs calibration data; "
                "give the task data, or choose weights_int8"
            )
        import openvino

        path = source.file("model")
        try:
            model = openvino.Core().read_model(path)
            model = _compress(model, chosen, calibration)
            _keep_names(model, source)
            # The default would halve the weights in silence and flatter the size.
            openvino.save_model(model, workdir / _MODEL, compress_to_fp16=False)
        except BuildError:
            raise
        except Exception as error:
            raise BuildError(f"OpenVINO cannot build {kind} from {path.name}: {error}") from error
        return Candidate(
            workdir,
            CONFIG.name,
            (_MODEL, _WEIGHTS),
            source.inputs,
            source.outputs,
            metadata={"model": _MODEL, "quantization": kind},
        ).save()

    def load(self, candidate: Candidate, threads: int) -> Session:
        import openvino

        options = {**_options(candidate), "INFERENCE_NUM_THREADS": threads}
        path = candidate.folder / candidate.metadata["model"]
        compiled = openvino.Core().compile_model(path, "CPU", options)
        return _Session(
            compiled.create_infer_request(),
            openvino.Tensor,
            [spec.name for spec in candidate.outputs],
            frozenset(spec.name for spec in candidate.outputs if spec.dtype == "float16"),
        )

    def predict_source(self, candidate: Candidate) -> str:
        return _PREDICT.format(
            options=_options(candidate),
            model=candidate.metadata["model"],
            inputs=[spec.name for spec in candidate.inputs],
            outputs=[spec.name for spec in candidate.outputs],
        )


class _Session(Session):
    """One inference request whose inputs share the caller's memory.

    Setting tensors by hand spares the dispatch of ``InferRequest.infer(arrays)``: some 10 of 60
    microseconds a call on a tiny model.
    """

    def __init__(
        self, request: Any, tensor: Any, outputs: list[str], halves: frozenset[str]
    ) -> None:
        self._request = request
        self._tensor = tensor
        self._outputs = outputs
        self._halves = halves

    def run(self, batch: Arrays) -> Arrays:
        request = self._request
        for name, array in batch.items():
            request.set_tensor(name, self._tensor(np.ascontiguousarray(array), shared_memory=True))
        request.infer()
        results = {name: request.get_tensor(name).data.copy() for name in self._outputs}
        for name in self._halves:
            results[name] = results[name].astype(np.float32)
        return results


def _options(candidate: Candidate) -> dict[str, Scalar]:
    """Options of the compilation, without the number of threads.

    The hint makes f32 really f32: where the processor has bf16, OpenVINO would take that. Pinned
    threads of two processes would share one core and leave another idle.
    """
    chosen = complete_parameters(CONFIG, candidate.runtime, runtime=True)
    return {
        "INFERENCE_PRECISION_HINT": chosen["precision"],
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
    }


def _compress(
    model: Any, chosen: Mapping[str, Scalar], calibration: Sequence[Arrays] | None
) -> Any:
    from hamerspace.backends.openvino import quantize

    kind = chosen["quantization"]
    if kind == "int8":
        assert calibration is not None
        return quantize.quantize_int8(
            model,
            calibration,
            str(chosen["preset"]),
            smooth_quant=bool(chosen["smooth_quant"]),
        )
    if kind == "weights_int8":
        return quantize.compress_weights(model, 8)
    if kind == "weights_int4":
        return quantize.compress_weights(model, 4, int(chosen["group_size"]))
    return model


def _keep_names(model: Any, source: ModelArtifact) -> None:
    """Give inputs and outputs the source's names where a transformation has lost them."""
    for ports, specs in ((model.inputs, source.inputs), (model.outputs, source.outputs)):
        if len(ports) != len(specs):
            raise BuildError(
                f"OpenVINO reads {len(ports)} inputs or outputs where the source has "
                f"{len(specs)} ({', '.join(spec.name for spec in specs)}); remove unused ones"
            )
        missing = {spec.name for spec in specs} - {name for port in ports for name in port.names}
        for port, spec in zip(ports, specs, strict=True):
            if spec.name in missing:
                port.tensor.add_names({spec.name})
