"""Build and run candidates with LiteRT."""

import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hamerspace.backends._predict import predict_text
from hamerspace.backends._sensitivity import Run, check_known, rank
from hamerspace.backends.base import Backend, BuildJob, Session
from hamerspace.backends.candidate import Candidate
from hamerspace.backends.litert.config import CONFIG
from hamerspace.tasks.model import Arrays, ModelArtifact
from hamerspace.tasks.tflite import TfliteModel

if TYPE_CHECKING:
    from hamerspace.tasks.tensorflow_module import NamedFunction

_MODEL = "model.tflite"

_LOAD = """
interpreter = Interpreter(
    model_path=path,
    num_threads=threads,
    experimental_op_resolver_type=OpResolverType.{resolver},
)
if interpreter.get_signature_list():
    runner = interpreter.get_signature_runner()
    given, made = runner.get_input_details(), runner.get_output_details()
else:
    given = dict(zip(inputs, interpreter.get_input_details()))
    made = dict(zip(outputs, interpreter.get_output_details()))
dtypes = {dtypes!r}
"""
_RUN = """
cast = {name: np.asarray(arrays[name], dtype=given[name]["dtype"]) for name in inputs}
for name, array in cast.items():
    interpreter.resize_tensor_input(given[name]["index"], array.shape)
interpreter.allocate_tensors()
for name, array in cast.items():
    interpreter.set_tensor(given[name]["index"], array)
interpreter.invoke()
found = [interpreter.get_tensor(made[name]["index"]) for name in outputs]
results = [
    array.astype("float32" if dtype in ("float16", "bfloat16") else dtype, copy=False)
    for array, dtype in zip(found, dtypes)
]
"""


class LiteRtBackend(Backend):
    """See :class:`~hamerspace.backends.litert.config.LiteRtConfig` for the choices."""

    config = CONFIG

    def make(self, job: BuildJob) -> Candidate:
        path, output = job.source.file("model"), job.workdir / _MODEL
        metadata: dict[str, Any] = {"model": _MODEL}
        if job.parameters["quantization"] == "none":
            shutil.copyfile(path, output)
        else:
            from hamerspace.backends.litert.quantize import FloatModel, weights_of

            model = FloatModel(job)
            layers = model.layers()
            check_known(job.float_layers, layers, path.name)
            output.write_bytes(model.quantize([layers[name] for name in job.float_layers]))
            metadata["weights"] = weights_of(output)
        # It finds what the quantizer wrote and the runtime does not take, here and not in a trial.
        TfliteModel(output, job.source.inputs, job.source.outputs)
        return self.candidate(job.source, job.workdir, _MODEL, **metadata)

    def rank(self, job: BuildJob, batches: Sequence[Arrays]) -> list[tuple[str, float]]:
        from hamerspace.backends.litert.quantize import FloatModel

        inputs, outputs = job.source.inputs, job.source.outputs
        model, alone = FloatModel(job), job.workdir / _MODEL
        layers = model.layers()

        def quantize_only(name: str) -> Run:
            alone.write_bytes(model.quantize(only=layers[name]))
            return TfliteModel(alone, inputs, outputs).run

        exact = TfliteModel(job.source.file("model"), inputs, outputs).run
        weights = {name: layer.weights for name, layer in layers.items()}
        return rank(weights, exact, batches, quantize_only)

    def wrap_source(self, source: ModelArtifact) -> Candidate:
        if source.format not in (*CONFIG.model_formats, *CONFIG.source_formats):
            return super().wrap_source(source)
        files = tuple(
            path.relative_to(source.folder).as_posix()
            for path in sorted(source.file("model").rglob("*")) or [source.file("model")]
            if path.is_file()
        )
        metadata = {"model": source.metadata["model"], "format": source.format}
        if source.format in CONFIG.source_formats:
            metadata["runtime_module"] = "tensorflow"
        return self.candidate(source, source.folder, *files, **metadata)

    def load(self, candidate: Candidate, threads: int) -> Session:
        if candidate.metadata.get("format") in CONFIG.source_formats:
            from hamerspace.tasks.tensorflow_module import load_function, quiet_variables

            quiet_variables()
            import tensorflow as tf

            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)
            return _Session(load_function(ModelArtifact.load(candidate.folder)))
        return _Session(
            TfliteModel(
                candidate.folder / candidate.metadata["model"],
                candidate.inputs,
                candidate.outputs,
                threads,
                xnnpack=_xnnpack(candidate),
            )
        )

    def predict_source(self, candidate: Candidate) -> str:
        load = _LOAD.format(
            resolver="AUTO" if _xnnpack(candidate) else "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
            dtypes=[s.dtype for s in candidate.outputs],
        )
        imports = "from ai_edge_litert.interpreter import Interpreter, OpResolverType"
        return predict_text(candidate, imports, load, _RUN)


class _Session(Session):
    def __init__(self, model: "TfliteModel | NamedFunction") -> None:
        self._run = model.run

    def run(self, batch: Arrays) -> Arrays:
        return self._run(batch)


def _xnnpack(candidate: Candidate) -> bool:
    return bool(CONFIG.complete(candidate.runtime, runtime=True)["xnnpack"])
