"""Build and run candidates with OpenVINO."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hamerspace.backends._parameters import complete_parameters
from hamerspace.backends._sensitivity import check_known, ranking_batches
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
        float_layers: Sequence[str] = (),
    ) -> Candidate:
        chosen = complete_parameters(CONFIG, parameters)
        kind = str(chosen["quantization"])
        _check_calibration(chosen, calibration)
        with _explained(kind, source):
            import openvino

            from hamerspace.backends.openvino import reading

            model = reading.read_model(source, workdir, in_float32=kind != "none")
            if float_layers:
                names = [op.get_friendly_name() for op in model.get_ops()]
                check_known(float_layers, names, source.file("model").name)
            model, left = _runnable(model, chosen, calibration, float_layers)
            reading.keep_names(model, source)
            # The default would halve the weights in silence and flatter the size.
            openvino.save_model(model, workdir / _MODEL, compress_to_fp16=False)
            weights = reading.weights_by_type(model)
        candidate = Candidate(
            workdir,
            CONFIG.name,
            (_MODEL, _WEIGHTS),
            source.inputs,
            source.outputs,
            metadata={"model": _MODEL, "quantization": kind, "weights": weights, **left},
        )
        return CONFIG.checked(candidate, chosen).save()

    def sensitivity(
        self,
        source: ModelArtifact,
        parameters: Mapping[str, Scalar],
        calibration: Sequence[Arrays] | None,
        workdir: Path,
    ) -> list[tuple[str, float]]:
        chosen = complete_parameters(CONFIG, parameters)
        kind = str(chosen["quantization"])
        if kind == "none":
            raise BuildError("openvino.quantization none has no layers to rank")
        batches = ranking_batches(calibration, source.inputs, "openvino.float_layers")
        with _explained(kind, source):
            from hamerspace.backends.openvino import quantize, reading, sensitivity

            model = reading.read_model(source, workdir, in_float32=True)
            outputs = [spec.name for spec in source.outputs]
            if kind != "int8":
                layers = reading.weighted_layers(model)

                def compress_only(layer: str) -> Any:
                    others = [name for name in layers if name != layer]
                    return _compress(model.clone(), chosen, None, others)

                return sensitivity.rank_layers(model, layers, compress_only, outputs, batches)
            quantized = quantize.quantize_int8(
                model.clone(),
                batches,
                str(chosen["preset"]),
                smooth_quant=bool(chosen["smooth_quant"]),
                for_ranking=True,
            )
            layers = sensitivity.quantized_layers(model, quantized)
            isolate = partial(sensitivity.isolate, quantized)
            return sensitivity.rank_layers(model, layers, isolate, outputs, batches)

    def load(self, candidate: Candidate, threads: int) -> Session:
        import openvino

        options = {**_options(candidate), "INFERENCE_NUM_THREADS": threads}
        path = candidate.folder / candidate.metadata["model"]
        compiled = openvino.Core().compile_model(path, "CPU", options)
        return _Session(
            compiled.create_infer_request(),
            openvino.Tensor,
            {
                spec.name: compiled.input(spec.name).get_element_type().to_dtype()
                for spec in candidate.inputs
            },
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
        self,
        request: Any,
        tensor: Any,
        dtypes: Mapping[str, Any],
        outputs: list[str],
        halves: frozenset[str],
    ) -> None:
        self._request = request
        self._dtypes = dtypes
        self._tensor = tensor
        self._outputs = outputs
        self._halves = halves

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
    chosen = complete_parameters(CONFIG, candidate.runtime, runtime=True)
    return {
        "INFERENCE_PRECISION_HINT": chosen["precision"],
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
    }


def _runnable(
    model: Any,
    chosen: Mapping[str, Scalar],
    calibration: Sequence[Arrays] | None,
    float_layers: Sequence[str],
) -> tuple[Any, dict[str, Any]]:
    """The compressed model and, as metadata, what of it cannot be taken and stays in float.

    NNCF quantises weights of recurrent layers that OpenVINO then does not run.
    """
    from hamerspace.backends.openvino import reading

    if chosen["quantization"] != "int8":
        return _compress(model, chosen, calibration, float_layers), {}
    try:
        compressed = _compress(model.clone(), chosen, calibration, float_layers)
        reading.compile_model(compressed)
    except Exception:
        kept = set(float_layers)
        left = [name for name in reading.recurrent_layers(model) if name not in kept]
        if not left:
            raise
        compressed = _compress(model, chosen, calibration, [*float_layers, *left])
        reading.compile_model(compressed)
        return compressed, {"left_in_float": left}
    return compressed, {}


def _compress(
    model: Any,
    chosen: Mapping[str, Scalar],
    calibration: Sequence[Arrays] | None,
    float_layers: Sequence[str],
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
            bias_correction=str(chosen["bias_correction"]),
            float_layers=float_layers,
        )
    if kind == "weights_int8":
        return quantize.compress_to_int8(model, float_layers)
    if kind == "weights_int4":
        group_size, method = int(chosen["group_size"]), str(chosen["int4_method"])
        return quantize.compress_to_int4(model, group_size, calibration, method, float_layers)
    return model


def _check_calibration(chosen: Mapping[str, Scalar], calibration: Sequence[Arrays] | None) -> None:
    if calibration:
        return
    if chosen["quantization"] == "int8":
        raise BuildError(
            "openvino.quantization int8 needs calibration data; "
            "give the task data, or choose weights_int8"
        )
    if chosen.get("int4_method", "plain") != "plain":
        raise BuildError(
            f"openvino.int4_method {chosen['int4_method']} needs calibration data; "
            "give the task data, or choose plain"
        )


@contextlib.contextmanager
def _explained(kind: str, source: ModelArtifact) -> Iterator[None]:
    """Turn what OpenVINO raises into a build error that says what was being built."""
    try:
        yield
    except BuildError:
        raise
    except Exception as error:
        path = source.file("model")
        raise BuildError(f"OpenVINO cannot build {kind} from {path.name}: {error}") from error
