"""Build and run candidates with ONNX Runtime."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hamerspace.backends._parameters import complete_parameters
from hamerspace.backends._sensitivity import check_known, ranking_batches
from hamerspace.backends.base import Backend, Candidate, Session
from hamerspace.backends.onnxruntime.config import CONFIG
from hamerspace.errors import BuildError
from hamerspace.recipe import Scalar
from hamerspace.tasks.model import Arrays, ModelArtifact

if TYPE_CHECKING:
    from hamerspace.backends.onnxruntime.scheme import Scheme

_SCHEMES = ("static_int8", "dynamic_int8", "weights_int8", "weights_int4")

_LEVELS = {
    "all": "ORT_ENABLE_ALL",
    "extended": "ORT_ENABLE_EXTENDED",
    "basic": "ORT_ENABLE_BASIC",
    "disabled": "ORT_DISABLE_ALL",
}

_PREDICT = '''\
from pathlib import Path

import numpy as np
import onnxruntime


def load(folder, threads=1):
    """Load the model in `folder`; return a function from named arrays to named arrays."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.{level}
    session = onnxruntime.InferenceSession(
        str(Path(folder) / {model!r}), options, providers=["CPUExecutionProvider"]
    )
    inputs, outputs = {inputs!r}, {outputs!r}

    def run(arrays):
        results = session.run(outputs, {{name: np.asarray(arrays[name]) for name in inputs}})
        return {{
            name: result.astype(np.float32) if result.dtype == np.float16 else result
            for name, result in zip(outputs, results)
        }}

    return run
'''


class OnnxRuntimeBackend(Backend):
    """See :class:`~hamerspace.backends.onnxruntime.config.OnnxRuntimeConfig` for the choices."""

    def build(
        self,
        source: ModelArtifact,
        parameters: Mapping[str, Scalar],
        calibration: Sequence[Arrays] | None,
        workdir: Path,
        float_layers: Sequence[str] = (),
    ) -> Candidate:
        from hamerspace.backends.onnxruntime import files
        from hamerspace.tasks.conversions.onnx_file import save_onnx

        chosen = complete_parameters(CONFIG, parameters)
        kind = str(chosen["quantization"])
        _check_calibration(kind, calibration)
        model, output = source.file("model"), workdir / files.MODEL_FILE
        metadata: dict[str, Any] = {"model": files.MODEL_FILE, "quantization": kind}
        with _explained(kind, model):
            if kind in _SCHEMES:
                scheme = _scheme(source, chosen, calibration, workdir)
                check_known(float_layers, scheme.layers(), model.name)
                scheme.quantize_what_can_be(output, float_layers)
                metadata |= scheme.metadata
            elif kind == "fp16":
                save_onnx(_halve(_float_model(source, chosen)), output)
            elif chosen["fusion"] == "none":
                files.copy_model(model, workdir)
            else:
                save_onnx(_float_model(source, chosen), output)
            files.strip_annotations(output)
            metadata["weights"] = files.weights_of(output)
        names = (files.MODEL_FILE, *files.external_data(output))
        candidate = Candidate(
            workdir, CONFIG.name, names, source.inputs, source.outputs, metadata=metadata
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
        if kind not in _SCHEMES:
            raise BuildError(f"onnxruntime.quantization {kind} has no layers to rank")
        batches = ranking_batches(calibration, source.inputs, "onnxruntime.float_layers")
        from hamerspace.backends.onnxruntime.sensitivity import rank_layers

        with _explained(kind, source.file("model")):
            scheme = _scheme(source, chosen, batches, workdir)
            outputs = [spec.name for spec in source.outputs]
            return rank_layers(scheme, outputs, batches, workdir)

    def wrap_source(self, source: ModelArtifact) -> Candidate:
        if source.format != "onnx":
            return super().wrap_source(source)
        files = (source.metadata["model"], *source.metadata.get("external", ()))
        metadata = {"model": source.metadata["model"]}
        return Candidate(
            source.folder,
            CONFIG.name,
            files,
            source.inputs,
            source.outputs,
            metadata=metadata,
        )

    def load(self, candidate: Candidate, threads: int) -> Session:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = getattr(
            onnxruntime.GraphOptimizationLevel, _level(candidate)
        )
        options.log_severity_level = 3
        if threads == 1:
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(
            str(candidate.folder / candidate.metadata["model"]),
            options,
            providers=["CPUExecutionProvider"],
        )
        names = [spec.name for spec in candidate.outputs]
        halves = [spec.name for spec in candidate.outputs if spec.dtype == "float16"]
        return _HalfSession(session, names, halves) if halves else _Session(session, names)

    def predict_source(self, candidate: Candidate) -> str:
        return _PREDICT.format(
            level=_level(candidate),
            model=candidate.metadata["model"],
            inputs=[spec.name for spec in candidate.inputs],
            outputs=[spec.name for spec in candidate.outputs],
        )


class _Session(Session):
    def __init__(self, session: Any, names: list[str]) -> None:
        self._run = session.run
        self._names = names

    def run(self, batch: Arrays) -> Arrays:
        return dict(zip(self._names, self._run(self._names, batch), strict=True))


class _HalfSession(_Session):
    """For models whose own outputs are float16, which metrics are not asked to take."""

    def __init__(self, session: Any, names: list[str], halves: list[str]) -> None:
        super().__init__(session, names)
        self._halves = halves

    def run(self, batch: Arrays) -> Arrays:
        outputs = dict(super().run(batch))
        for name in self._halves:
            outputs[name] = outputs[name].astype("float32")
        return outputs


def _level(candidate: Candidate) -> str:
    options = complete_parameters(CONFIG, candidate.runtime, runtime=True)
    return _LEVELS[str(options["optimization_level"])]


def _check_calibration(kind: str, calibration: Sequence[Arrays] | None) -> None:
    if kind == "static_int8" and not calibration:
        raise BuildError(
            "onnxruntime.quantization static_int8 needs calibration data; "
            "give the task data, or choose dynamic_int8"
        )


@contextlib.contextmanager
def _explained(kind: str, model: Path) -> Iterator[None]:
    """Turn what ONNX Runtime raises into a build error that says what was being built."""
    try:
        yield
    except BuildError:
        raise
    except Exception as error:
        raise BuildError(f"ONNX Runtime cannot build {kind} from {model.name}: {error}") from error


def _scheme(
    source: ModelArtifact,
    chosen: Mapping[str, Scalar],
    calibration: Sequence[Arrays] | None,
    workdir: Path,
) -> "Scheme":
    from hamerspace.backends.onnxruntime.dynamic import DynamicInt8
    from hamerspace.backends.onnxruntime.static import StaticInt8
    from hamerspace.backends.onnxruntime.weights import BlockWeights
    from hamerspace.tasks.onnx_graph import fold_constants

    proto, kind = _float_model(source, chosen), chosen["quantization"]
    if kind == "static_int8":
        return StaticInt8(
            proto,
            calibration or (),
            str(chosen["activation_type"]),
            workdir,
            per_channel=bool(chosen["per_channel"]),
        )
    if kind == "dynamic_int8":
        op_types, weight_type = chosen["dynamic_op_types"], chosen["weight_type"]
        return DynamicInt8(proto, str(op_types), str(weight_type), workdir)
    bits = 8 if kind == "weights_int8" else 4
    if bits == 4 and not source.metadata.get("verbatim"):
        # Both copies of a matrix that is looked up and multiplied with become small.
        proto = fold_constants(proto, untie=True)
    return BlockWeights(proto, bits, int(chosen["block_size"]), workdir)


def _float_model(source: ModelArtifact, chosen: Mapping[str, Scalar]) -> Any:
    """The source with its weights in memory, fused where that was chosen."""
    from hamerspace.backends.onnxruntime.files import check_external_data
    from hamerspace.backends.onnxruntime.fusion import fuse_transformer
    from hamerspace.backends.onnxruntime.graph import normalize
    from hamerspace.tasks.conversions.onnx_file import read_in_float32
    from hamerspace.tasks.onnx_graph import read_onnx

    check_external_data(source.file("model"))
    lowered = chosen["quantization"] != "none"
    proto = normalize(read_in_float32(source) if lowered else read_onnx(source))
    if chosen.get("fusion", "none") == "transformer":
        proto = normalize(fuse_transformer(proto))
    return proto


def _halve(proto: Any) -> Any:
    """A model that stores and computes float16 and keeps the types of its interface."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    return convert_float_to_float16(proto, keep_io_types=True)
