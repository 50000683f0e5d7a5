"""Build and run candidates with OpenVINO."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hamerspace.backends._predict import predict_text
from hamerspace.backends._sensitivity import Run, check_known, rank
from hamerspace.backends.base import Backend, BuildJob, Session
from hamerspace.backends.candidate import Candidate
from hamerspace.backends.openvino.config import CONFIG
from hamerspace.recipe import Scalar
from hamerspace.tasks.model import Arrays

_MODEL, _WEIGHTS = "model.xml", "model.bin"

_LOAD = """
options = {{**{options!r}, "INFERENCE_NUM_THREADS": threads}}
request = openvino.Core().compile_model(path, "CPU", options).create_infer_request()
"""
_RUN = """
request.infer({name: np.asarray(arrays[name]) for name in inputs})
results = [request.get_tensor(name).data.copy() for name in outputs]
"""


class OpenVinoBackend(Backend):
    """See :class:`~hamerspace.backends.openvino.config.OpenVinoConfig` for the choices."""

    config = CONFIG

    def make(self, job: BuildJob) -> Candidate:
        import openvino

        from hamerspace.backends.openvino import reading

        source, in_float32 = job.source, job.parameters["quantization"] != "none"
        model = reading.read_model(source, job.workdir, in_float32=in_float32)
        if job.float_layers:
            names = [op.get_friendly_name() for op in model.get_ops()]
            check_known(job.float_layers, names, source.file("model").name)
        model, left = _runnable(model, job)
        reading.keep_names(model, source)
        # The default would halve the weights in silence and flatter the size.
        openvino.save_model(model, job.workdir / _MODEL, compress_to_fp16=False)
        weights = reading.weights_by_type(model)
        files = (_MODEL, _WEIGHTS)
        return self.candidate(source, job.workdir, *files, model=_MODEL, weights=weights, **left)

    def rank(self, job: BuildJob, batches: Sequence[Arrays]) -> list[tuple[str, float]]:
        from hamerspace.backends.openvino import quantize, reading, sensitivity

        model = reading.read_model(job.source, job.workdir, in_float32=True)
        outputs = [spec.name for spec in job.source.outputs]
        if job.parameters["quantization"] == "int8":
            whole = quantize.quantize_int8(model.clone(), job.parameters, batches, for_ranking=True)
            layers = sensitivity.quantized_layers(model, whole)
        else:
            layers = reading.weighted_layers(model)

        def quantize_only(layer: str) -> Run:
            if job.parameters["quantization"] == "int8":
                alone = sensitivity.isolate(whole, layer)
            else:
                others = [name for name in layers if name != layer]
                alone = quantize.compress(model.clone(), job, others)
            return sensitivity.runner(alone, outputs)

        return rank(layers, sensitivity.runner(model, outputs), batches, quantize_only)

    def load(self, candidate: Candidate, threads: int) -> Session:
        import openvino

        options = {**_options(candidate), "INFERENCE_NUM_THREADS": threads}
        path = candidate.folder / candidate.metadata["model"]
        compiled = openvino.Core().compile_model(path, "CPU", options)
        return _Session(compiled, openvino.Tensor, candidate)

    def predict_source(self, candidate: Candidate) -> str:
        load = _LOAD.format(options=_options(candidate))
        return predict_text(candidate, "import openvino", load, _RUN)


class _Session(Session):
    """One inference request whose inputs share the caller's memory.

    Setting tensors by hand spares the dispatch of ``InferRequest.infer(arrays)``: some 10 of 60
    microseconds a call on a tiny model.
    """

    def __init__(self, compiled: Any, tensor: Any, candidate: Candidate) -> None:
        self._request = compiled.create_infer_request()
        self._tensor = tensor
        self._dtypes = {
            spec.name: compiled.input(spec.name).get_element_type().to_dtype()
            for spec in candidate.inputs
        }
        self._outputs = [spec.name for spec in candidate.outputs]
        self._halves = [spec.name for spec in candidate.outputs if spec.dtype == "float16"]

    def run(self, batch: Arrays) -> Arrays:
        request = self._request
        # Held until the end: a tensor does not keep the memory alive that it shares.
        given = {n: np.asarray(a, self._dtypes[n], order="C") for n, a in batch.items()}
        for name, array in given.items():
            request.set_tensor(name, self._tensor(array, shared_memory=True))
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
    chosen = CONFIG.complete(candidate.runtime, runtime=True)
    return {
        "INFERENCE_PRECISION_HINT": chosen["precision"],
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
    }


def _runnable(model: Any, job: BuildJob) -> tuple[Any, dict[str, Any]]:
    """The compressed model and, as metadata, what of it cannot be taken and stays in float.

    NNCF quantises weights of recurrent layers that OpenVINO then does not run.
    """
    from hamerspace.backends.openvino import reading
    from hamerspace.backends.openvino.quantize import compress

    if job.parameters["quantization"] != "int8":
        return compress(model, job, job.float_layers), {}
    try:
        compressed = compress(model.clone(), job, job.float_layers)
        reading.compile_model(compressed)
    except Exception:
        kept = set(job.float_layers)
        left = [name for name in reading.recurrent_layers(model) if name not in kept]
        if not left:
            raise
        compressed = compress(model, job, [*job.float_layers, *left])
        reading.compile_model(compressed)
        return compressed, {"left_in_float": left}
    return compressed, {}
