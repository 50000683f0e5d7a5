"""Build and run candidates with ONNX Runtime."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hamerspace.backends._predict import predict_text
from hamerspace.backends._sensitivity import Run, check_known, rank
from hamerspace.backends.base import Backend, BuildJob, Session
from hamerspace.backends.candidate import Candidate
from hamerspace.backends.onnxruntime.config import CONFIG, LAYERED
from hamerspace.tasks.model import Arrays, ModelArtifact

if TYPE_CHECKING:
    from hamerspace.backends.onnxruntime.scheme import Scheme

_LEVELS = {
    "all": "ORT_ENABLE_ALL",
    "extended": "ORT_ENABLE_EXTENDED",
    "basic": "ORT_ENABLE_BASIC",
    "disabled": "ORT_DISABLE_ALL",
}

_LOAD = """
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
options.inter_op_num_threads = 1
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.{level}
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
"""
_RUN = "results = session.run(outputs, {name: np.asarray(arrays[name]) for name in inputs})"


class OnnxRuntimeBackend(Backend):
    """See :class:`~hamerspace.backends.onnxruntime.config.OnnxRuntimeConfig` for the choices."""

    config = CONFIG

    def make(self, job: BuildJob) -> Candidate:
        from hamerspace.backends.onnxruntime import files
        from hamerspace.tasks.conversions.onnx_file import save_onnx

        kind, output = job.parameters["quantization"], job.workdir / files.MODEL_FILE
        metadata: dict[str, Any] = {"model": files.MODEL_FILE}
        if kind in LAYERED:
            scheme = _scheme(job)
            check_known(job.float_layers, scheme.layers(), job.source.file("model").name)
            scheme.quantize_what_can_be(output, job.float_layers)
            metadata |= scheme.metadata
        elif kind == "fp16":
            from onnxruntime.transformers.float16 import convert_float_to_float16

            # It stores and computes float16 and keeps the types of its interface.
            save_onnx(convert_float_to_float16(_float_model(job), keep_io_types=True), output)
        elif job.parameters["fusion"] == "none":
            files.copy_model(job.source.file("model"), job.workdir)
        else:
            save_onnx(_float_model(job), output)
        files.strip_annotations(output)
        metadata["weights"] = files.weights_of(output)
        names = (files.MODEL_FILE, *files.external_data(output))
        return self.candidate(job.source, job.workdir, *names, **metadata)

    def rank(self, job: BuildJob, batches: Sequence[Arrays]) -> list[tuple[str, float]]:
        from hamerspace.tasks.onnx_graph import load_session

        scheme = _scheme(replace(job, calibration=batches))
        outputs = [spec.name for spec in job.source.outputs]
        alone = job.workdir / "one-layer.onnx"

        def quantize_only(layer: str) -> Run:
            scheme.quantize_only(alone, [layer])
            return _Session(load_session(alone), outputs).run

        exact = _Session(load_session(scheme.model), outputs).run
        return rank(scheme.layers(), exact, batches, quantize_only)

    def wrap_source(self, source: ModelArtifact) -> Candidate:
        if source.format != "onnx":
            return super().wrap_source(source)
        model, others = source.metadata["model"], source.metadata.get("external", ())
        return self.candidate(source, source.folder, model, *others, model=model)

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
        load = _LOAD.format(level=_level(candidate))
        return predict_text(candidate, "import onnxruntime", load, _RUN)


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
    options = CONFIG.complete(candidate.runtime, runtime=True)
    return _LEVELS[str(options["optimization_level"])]


def _scheme(job: BuildJob) -> "Scheme":
    from hamerspace.backends.onnxruntime.dynamic import DynamicInt8
    from hamerspace.backends.onnxruntime.static import StaticInt8
    from hamerspace.backends.onnxruntime.weights import BlockWeights

    schemes = {"static_int8": StaticInt8, "dynamic_int8": DynamicInt8}
    return schemes.get(str(job.parameters["quantization"]), BlockWeights)(_float_model(job), job)


def _float_model(job: BuildJob) -> Any:
    """The source with its weights in memory, fused where that was chosen."""
    from hamerspace.backends.onnxruntime.files import external_data
    from hamerspace.backends.onnxruntime.fusion import fuse_transformer
    from hamerspace.backends.onnxruntime.graph import normalize
    from hamerspace.tasks.conversions.onnx_file import read_in_float32
    from hamerspace.tasks.onnx_graph import read_onnx

    source, chosen = job.source, job.parameters
    external_data(source.file("model"))  # refuses what is not there
    lowered = chosen["quantization"] != "none"
    proto = normalize(read_in_float32(source) if lowered else read_onnx(source))
    if chosen.get("fusion", "none") == "transformer":
        proto = normalize(fuse_transformer(proto))
    return proto
