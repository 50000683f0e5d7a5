"""Build and run candidates with Apache TVM."""

from dataclasses import replace

import numpy as np

from hamerspace.backends._predict import predict_text
from hamerspace.backends.base import Backend, BuildJob, Session
from hamerspace.backends.candidate import Candidate
from hamerspace.backends.tvm.config import CONFIG
from hamerspace.errors import BuildError
from hamerspace.tasks.model import Arrays

_LIBRARY = "model.so"

_IMPORTS = "import tvm\nfrom tvm import relax"
_LOAD = """
tvm.get_global_func("runtime.config_threadpool")(1, threads)
call = relax.VirtualMachine(tvm.runtime.load_module(path), tvm.cpu())["main"]
inputs, made = {inputs!r}, {made!r}
"""
_RUN = """
found = call(*[tvm.runtime.tensor(np.ascontiguousarray(arrays[name])) for name in inputs])
found = [found] if hasattr(found, "numpy") else list(found)
results = [found[made.index(name)].numpy() for name in outputs]
"""


class TvmBackend(Backend):
    """See :class:`~hamerspace.backends.tvm.config.TvmConfig`; runs in the tool environment."""

    config = CONFIG

    def make(self, job: BuildJob) -> Candidate:
        from hamerspace.backends.tvm import compilation

        source, calibration = job.source, job.calibration
        model, library = compilation.read(source.file("model")), job.workdir / _LIBRARY
        inputs, outputs = compilation.interface(model)
        for kind, found, specs in (
            ("input", inputs, source.inputs),
            ("output", outputs, source.outputs),
        ):
            wanted = {spec.name for spec in specs}
            if set(found) != wanted:
                raise BuildError(
                    f"the ONNX graph has the {kind}s {', '.join(found)} and the source "
                    f"{', '.join(sorted(wanted))}; remove unused ones"
                )
        built = self.candidate(source, job.workdir, _LIBRARY, inputs=inputs, outputs=outputs)
        try:
            compilation.compile_library(model, {}, library)
        except Exception:
            if not calibration or all(None not in spec.shape for spec in source.inputs):
                raise
            # Not every operator can be compiled for a batch of any size.
            shapes = {name: list(np.shape(calibration[0][name])) for name in inputs}
            compilation.compile_library(model, shapes, library)
            results = _Session(built, 1).run(calibration[0])
            return replace(
                built,
                inputs=tuple(replace(s, shape=tuple(shapes[s.name])) for s in source.inputs),
                outputs=tuple(replace(s, shape=results[s.name].shape) for s in source.outputs),
            )
        return built

    def explain(self, job: BuildJob, error: Exception) -> str:
        lines = [line for line in str(error).splitlines() if line.strip()]
        text = f"{type(error).__name__}: {lines[-1] if lines else ''}"[:300]
        return f"TVM cannot compile {job.source.file('model').name}; {text}"

    def load(self, candidate: Candidate, threads: int) -> Session:
        return _Session(candidate, threads)

    def predict_source(self, candidate: Candidate) -> str:
        metadata = candidate.metadata
        load = _LOAD.format(inputs=metadata["inputs"], made=metadata["outputs"])
        return predict_text(candidate, _IMPORTS, load, _RUN)


class _Session(Session):
    """A compiled function on TVM's virtual machine, which takes and returns tensors in order."""

    def __init__(self, candidate: Candidate, threads: int) -> None:
        import tvm
        from tvm import relax

        tvm.get_global_func("runtime.config_threadpool")(1, threads)
        module = tvm.runtime.load_module(str(candidate.folder / candidate.files[0]))
        self._machine = relax.VirtualMachine(module, tvm.cpu())
        self._call = self._machine["main"]
        self._tensor = tvm.runtime.tensor
        self._inputs, order = candidate.metadata["inputs"], candidate.metadata["outputs"]
        self._outputs = [(spec.name, order.index(spec.name)) for spec in candidate.outputs]
        self._halves = [spec.name for spec in candidate.outputs if spec.dtype == "float16"]

    def run(self, batch: Arrays) -> Arrays:
        tensor = self._tensor
        found = self._call(*[tensor(np.ascontiguousarray(batch[name])) for name in self._inputs])
        results = [found] if hasattr(found, "numpy") else list(found)
        outputs = {name: results[index].numpy() for name, index in self._outputs}
        for name in self._halves:
            outputs[name] = outputs[name].astype(np.float32)
        return outputs
