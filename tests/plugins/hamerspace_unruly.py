"""A backend of another package, found by its entry point, that misbehaves on request."""

import ctypes
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from hamerspace.backends.base import BackendConfig, Session
from hamerspace.backends.onnxruntime.backend import OnnxRuntimeBackend
from hamerspace.recipe import Condition, KnownRecipe, Parameter

IN_THE_BUILD = (
    "build_raises",
    "build_segfaults",
    "build_hangs",
    "build_floods",
    "build_fills_the_disk",
)
WHEN_RUN = (
    "load_raises",
    "run_segfaults",
    "run_hangs",
    "run_nan",
    "run_shape",
    "slow",
    "wrong",
    "batch_raises",
    "batch_segfaults",
    "batch_floods",
)


class UnrulyConfig(BackendConfig):
    name = "unruly"
    title = "Unruly"
    modules = ("onnxruntime",)
    distributions = ("onnxruntime",)
    extra = "onnx"
    model_formats = ("onnx",)
    implementation = "hamerspace_unruly:UnrulyBackend"

    def parameters(self):
        return (
            Parameter("unruly.behaviour", "none", "What goes wrong.", self._behaviours()),
            Parameter(
                "unruly.extent",
                "some",
                "Means something for slow models only.",
                ("some", "much"),
                when=(Condition("unruly.behaviour", ("slow",)),),
            ),
        )

    def _behaviours(self):
        return ("none", *IN_THE_BUILD, *WHEN_RUN)

    def capabilities(self, source, host):
        return ()

    def known_recipes(self, source):
        return (KnownRecipe({}, 1.0, 1.0),)


CONFIG = UnrulyConfig()


class UnrulyBackend(OnnxRuntimeBackend):
    config = CONFIG

    def make(self, job):
        behaviour = job.parameters["behaviour"]
        if behaviour in IN_THE_BUILD:
            print("about to misbehave", flush=True)  # noqa: T201 - for the log of the build
            misbehave(behaviour.removeprefix("build_"))
        plain = {"quantization": "none", "fusion": "none"}
        return super().make(replace(job, parameters=plain)).noting(behaviour=behaviour)

    def load(self, candidate, threads):
        behaviour = candidate.metadata["behaviour"]
        if behaviour == "load_raises":
            raise RuntimeError("no such kernel")
        return _Session(super().load(candidate, threads), behaviour)


class _Session(Session):
    def __init__(self, inner, behaviour):
        self._inner = inner
        self._behaviour = behaviour

    def run(self, batch):
        if self._behaviour in ("run_segfaults", "run_hangs"):
            misbehave(self._behaviour.removeprefix("run_"))
        if self._behaviour.startswith("batch_") and len(next(iter(batch.values()))) > 1:
            misbehave(self._behaviour.removeprefix("batch_"))
        for _ in range(29 if self._behaviour == "slow" else 0):
            self._inner.run(batch)
        outputs = dict(self._inner.run(batch))
        if self._behaviour == "run_nan":
            return {name: np.full_like(array, np.nan) for name, array in outputs.items()}
        if self._behaviour == "run_shape":
            return {name: array[..., :-1] for name, array in outputs.items()}
        if self._behaviour == "wrong":
            return {name: -array for name, array in outputs.items()}
        return outputs


def misbehave(how):
    if how == "raises":
        raise RuntimeError("the converter gave up")
    if how == "segfaults":
        ctypes.string_at(0)
    if how == "fills_the_disk":
        Path("/dev/full").write_bytes(b"x")
    if how == "hangs":
        time.sleep(3600)
    hoard = []
    while how == "floods":
        hoard.append(bytearray(b"x" * 50_000_000))
        time.sleep(0.02)
