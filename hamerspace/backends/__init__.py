"""Adapters to runtimes. A new one is one folder and one line here, or an entry point."""

from hamerspace._registry import Registry
from hamerspace.backends.base import BackendConfig

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

__all__ = ["BACKENDS", "BackendConfig"]
