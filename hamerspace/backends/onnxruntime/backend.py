"""Build and run candidates with ONNX Runtime."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hamerspace.backends._parameters import complete_parameters
from hamerspace.backends.base import Backend, Candidate, Session
from hamerspace.backends.onnxruntime.config import CONFIG
from hamerspace.errors import BuildError
from hamerspace.recipe import Scalar
from hamerspace.tasks.model import Arrays, ModelArtifact

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
    ) -> Candidate:
        from hamerspace.backends.onnxruntime import files, quantize

        chosen = complete_parameters(CONFIG, parameters)
        kind = chosen["quantization"]
        if kind == "static_int8" and not calibration:
            raise BuildError(
                "onnxruntime.quantization static_int8 needs calibration data; "
                "give the task data, or choose dynamic_int8"
            )
        model, output = source.file("model"), workdir / files.MODEL_FILE
        metadata: dict[str, Any] = {"model": files.MODEL_FILE, "quantization": kind}
        try:
            if kind == "none":
                files.copy_model(model, workdir)
            elif kind == "static_int8":
                assert calibration is not None
                metadata |= quantize.quantize_static(model, output, calibration, workdir)
            elif kind == "dynamic_int8":
                op_types, weight_type = chosen["dynamic_op_types"], chosen["weight_type"]
                quantize.quantize_dynamic(model, output, str(op_types), str(weight_type), workdir)
            else:
                quantize.convert_fp16(model, output)
            files.strip_annotations(output)
        except BuildError:
            raise
        except Exception as error:
            raise BuildError(
                f"ONNX Runtime cannot build {kind} from {model.name}: {error}"
            ) from error
        names = (files.MODEL_FILE, *files.external_data(output))
        return Candidate(
            workdir, CONFIG.name, names, source.inputs, source.outputs, metadata=metadata
        ).save()

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
