"""What the PyTorch backend offers, known without importing torch."""

from hamerspace.backends.base import BackendConfig, Host
from hamerspace.recipe import Condition, KnownRecipe, Mask, Parameter
from hamerspace.tasks.model import SourceInfo

_QUANTIZATION = "pytorch.quantization"
_BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})


class PytorchConfig(BackendConfig):
    """PyTorch on the CPU."""

    name = "pytorch"
    title = "PyTorch"
    modules = ("torch", "safetensors")
    distributions = ("torch", "safetensors")
    extra = "pytorch"
    model_formats = ("pytorch", "torch_export", "torchscript")
    implementation = "hamerspace.backends.pytorch.backend:PytorchBackend"
    build_modules = ("torch._dynamo", "torch.ao.quantization.quantize_fx")

    def parameters(self) -> tuple[Parameter, ...]:
        return (
            Parameter(
                _QUANTIZATION,
                "none",
                "Precision: static int8 needs calibration data, bf16 and dynamic int8 do not.",
                ("none", "bf16", "dynamic_int8", "static_int8"),
            ),
            Parameter(
                "pytorch.execution",
                "eager",
                "How it runs: operator by operator, or frozen and fused as TorchScript.",
                ("eager", "frozen"),
                when=(Condition(_QUANTIZATION, ("none", "bf16")),),
            ),
        )

    def capabilities(self, source: SourceInfo, host: Host) -> tuple[Mask, ...]:
        if source.format not in self.model_formats:
            names = {"onnx": "ONNX"}
            kind = names.get(source.format, source.format)
            return (Mask("backend", (self.name,), f"PyTorch cannot run {kind} models"),)
        masks = []
        if source.format != "pytorch":
            reason = f"the weights of a {source.format} model cannot be replaced; give a 'builder'"
            masks.append(Mask(_QUANTIZATION, ("bf16", "dynamic_int8", "static_int8"), reason))
            return tuple(masks)
        families = set(source.op_families)
        if not families & {"linear", "rnn", "attention"}:
            reason = "dynamic int8 needs a linear or a recurrent layer; the model has none"
            masks.append(Mask(_QUANTIZATION, ("dynamic_int8",), reason))
        if not families & {"conv", "linear", "attention"}:
            reason = "static int8 needs a convolution or a linear layer; the model has none"
            masks.append(Mask(_QUANTIZATION, ("static_int8",), reason))
        if host.machine == "x86_64" and not host.cpu_flags & _BF16_FLAGS:
            reason = "the processor has no bfloat16 arithmetic (avx512_bf16 or amx_bf16)"
            masks.append(Mask(_QUANTIZATION, ("bf16",), reason))
        return tuple(masks)

    def known_recipes(self, source: SourceInfo) -> tuple[KnownRecipe, ...]:
        """The fp32 baseline, then what helped; measured on one thread at batch 1."""
        families = set(source.op_families)
        attention, conv = "attention" in families, "conv" in families
        frozen = 0.6 if conv else 0.85
        recipes = [
            _recipe(1.0, 1.0, 0.0, quantization="none", execution="eager"),
            _recipe(frozen, 1.0, 0.0, quantization="none", execution="frozen"),
        ]
        if source.format != "pytorch":
            return tuple(recipes)
        if conv:
            recipes.append(_recipe(0.3, 0.28, 0.1, quantization="static_int8"))
        recipes.append(_recipe(0.7, 0.5, 0.0, quantization="bf16", execution="frozen"))
        if families & {"linear", "rnn", "attention"} and not conv:
            latency = 0.6 if attention else 1.1
            recipes.append(_recipe(latency, 0.45, 0.1, quantization="dynamic_int8"))
        return tuple(recipes)


def _recipe(latency: float, size: float, drop: float, **parameters: str) -> KnownRecipe:
    named = {f"pytorch.{name}": value for name, value in parameters.items()}
    return KnownRecipe({"backend": "pytorch", **named}, latency, size, drop)


CONFIG = PytorchConfig()
