"""What the TVM backend offers, known without importing TVM."""

from collections.abc import Mapping

from hamerspace.backends.base import BackendConfig, Host
from hamerspace.recipe import KnownRecipe, Mask, Parameter, Scalar
from hamerspace.tasks.model import SourceInfo


class TvmConfig(BackendConfig):
    """Apache TVM on the CPU, with the schedules that it has by default.

    Without tuning it is slow: 17 to 43 times the latency of ONNX Runtime on networks for images
    and text. It is here for devices and operators that other runtimes lack.
    """

    name = "tvm"
    title = "Apache TVM"
    modules = ("tvm", "onnx")
    distributions = ("apache-tvm", "onnx")
    extra = ""
    model_formats = ("onnx",)
    implementation = "hamerspace.backends.tvm.backend:TvmBackend"
    model_suffixes = (".so",)
    build_modules = ("tvm.relax.frontend.onnx",)
    environment = "tvm"

    def parameters(self) -> tuple[Parameter, ...]:
        return ()

    def capabilities(self, source: SourceInfo, host: Host) -> tuple[Mask, ...]:  # noqa: ARG002
        if "rnn" in source.op_families:
            reason = "TVM's ONNX frontend has no LSTM or GRU"
            return (Mask("backend", (self.name,), reason),)
        return ()

    def compiles_for_host(self, parameters: Mapping[str, Scalar]) -> bool:  # noqa: ARG002
        return True

    def known_recipes(self, source: SourceInfo) -> tuple[KnownRecipe, ...]:  # noqa: ARG002
        """The fp32 baseline; the ratio is what it costs to leave the kernels untuned."""
        return (KnownRecipe({"backend": self.name}, 20.0, 1.0),)


CONFIG = TvmConfig()
