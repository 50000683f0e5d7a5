"""Adapters to runtimes. A new one is one folder and one line here, or an entry point."""

from contextlib import suppress

from hamerspace._registry import Registry
from hamerspace.backends.base import BackendConfig
from hamerspace.backends.candidate import Candidate
from hamerspace.errors import BackendUnavailableError, BuildError
from hamerspace.tasks.model import ModelArtifact

BACKENDS: Registry[BackendConfig] = Registry(
    "backend",
    "hamerspace.backends",
    {
        "litert": "hamerspace.backends.litert.config:CONFIG",
        "onnxruntime": "hamerspace.backends.onnxruntime.config:CONFIG",
        "openvino": "hamerspace.backends.openvino.config:CONFIG",
        "pytorch": "hamerspace.backends.pytorch.config:CONFIG",
        "tvm": "hamerspace.backends.tvm.config:CONFIG",
    },
)


def wrap_source(model: ModelArtifact) -> Candidate:
    """A model as its user runs it, in the first backend that takes it.

    Raises:
        BackendUnavailableError: None does that is installed; says what would.
    """
    missing = []
    for config in map(BACKENDS.load, BACKENDS):
        if model.format not in (*config.model_formats, *config.source_formats):
            continue
        if hint := config.hint():
            missing.append(hint)
            continue
        with suppress(BuildError):
            return config.create().wrap_source(model)
    how = f"; {' or '.join(missing)}" if missing else ""
    raise BackendUnavailableError(f"no backend runs a model of format '{model.format}'{how}")


__all__ = ["BACKENDS", "BackendConfig", "wrap_source"]
