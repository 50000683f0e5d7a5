"""What the PyTorch backend offers, known without importing torch."""

from collections.abc import Iterator, Mapping
from functools import partial

from hamerspace.backends.base import BackendConfig, Host
from hamerspace.backends.pytorch.schemes import SCHEMES, compiler_refusal, refusals
from hamerspace.recipe import Condition, KnownRecipe, Mask, Parameter, Scalar
from hamerspace.tasks.model import SourceInfo

_DEVICE = "pytorch.device"
_QUANTIZATION = "pytorch.quantization"
_EXECUTION = "pytorch.execution"


class PytorchConfig(BackendConfig):
    """PyTorch on the CPU, or on a GPU with CUDA."""

    name = "pytorch"
    title = "PyTorch"
    modules = ("torch", "safetensors")
    distributions = ("torch", "safetensors", "torchao", "bitsandbytes", "transformers")
    extra = "pytorch"
    model_formats = ("pytorch", "torch_export", "torchscript")
    implementation = "hamerspace.backends.pytorch.backend:PytorchBackend"
    model_suffixes = (".pt", ".pt2")
    build_modules = ("torch._dynamo", "torch.ao.quantization.quantize_fx")
    hardware = ("cpu", "gpu")
    keeps_precision = False

    def parameters(self) -> tuple[Parameter, ...]:
        return (
            Parameter(
                _DEVICE,
                "cpu",
                "Where it runs; the target's hardware leaves one.",
                ("cpu", "cuda"),
                optional=True,
            ),
            Parameter(
                _QUANTIZATION,
                "none",
                "Precision: static int8 needs calibration data, the others do not. Those of "
                "torchao are compiled with inductor; those of bitsandbytes need it to run.",
                tuple(SCHEMES),
                calibrated=("static_int8",),
            ),
            Parameter(
                _EXECUTION,
                "eager",
                "How it runs: operator by operator, frozen and fused as TorchScript, or compiled "
                "with inductor.",
                ("eager", "frozen", "inductor"),
                when=(Condition(_QUANTIZATION, _names(execution="")),),
            ),
            Parameter(
                "pytorch.float_layers",
                0,
                "Number of the most sensitive layers that stay in floating point.",
                low=0,
                high=64,
                when=(Condition(_QUANTIZATION, _names(ranked=True)),),
                optional=True,
            ),
        )

    def capabilities(self, source: SourceInfo, host: Host) -> tuple[Mask, ...]:
        masks = [Mask(_QUANTIZATION, (name,), reason) for name, reason in refusals(source, host)]
        masks += [Mask(_EXECUTION, (how,), reason) for how, reason in _unrunnable(source, host)]
        if host.gpu:
            masks.append(Mask(_DEVICE, ("cpu",), f"the target's hardware is the {host.gpu}"))
        else:
            masks.append(Mask(_DEVICE, ("cuda",), "the target's hardware is the CPU"))
        return tuple(masks)

    def compiles_for_host(self, parameters: Mapping[str, Scalar]) -> bool:
        scheme = SCHEMES[str(parameters.get("quantization", "none"))]
        return (scheme.execution or parameters.get("execution")) == "inductor"

    def known_recipes(self, source: SourceInfo) -> tuple[KnownRecipe, ...]:
        """The fp32 baseline, then what helped; measured on one thread at batch 1.

        The ratios on a GPU are expectations.
        """
        families = set(source.op_families)
        attention, conv = "attention" in families, "conv" in families
        recipes = [
            _recipe(1.0, 1.0, 0.0, quantization="none", execution="eager"),
            _recipe(0.6 if conv else 0.85, 1.0, 0.0, quantization="none", execution="frozen"),
            _recipe(0.7 if conv else 0.8, 1.2, 0.0, quantization="none", execution="inductor"),
        ]
        if source.format in ("torch_export", "torchscript"):
            return tuple(recipes)
        if conv:
            recipes.append(_recipe(0.3, 0.28, 0.1, quantization="static_int8"))
        recipes.append(_recipe(0.7, 0.5, 0.0, quantization="bf16", execution="frozen"))
        dynamic = partial(_recipe, 0.6 if attention else 1.1, 0.9 if conv else 0.45, 0.1)
        recipes.append(dynamic("PyTorch dynamic int8", quantization="dynamic_int8"))
        if attention:
            recipes.append(_recipe(0.6, 0.65, 0.1, quantization="torchao_int8"))
        gpu = partial(_recipe, 0.5, 0.5, 0.0, device="cuda", execution="inductor")
        return (*recipes, *(gpu(quantization=kind) for kind in ("fp16", "bf16")))


def _names(*, ranked: bool | None = None, execution: str | None = None) -> tuple[str, ...]:
    """The schemes of one kind."""
    return tuple(
        name
        for name, scheme in SCHEMES.items()
        if ranked in (None, scheme.ranked) and execution in (None, scheme.execution)
    )


def _unrunnable(source: SourceInfo, host: Host) -> Iterator[tuple[str, str]]:
    if host.gpu:
        yield "frozen", "TorchScript is frozen for the CPU only; inductor fuses for a GPU"
    if source.format == "torchscript":
        yield "inductor", "inductor cannot compile a TorchScript archive; give the module"
    elif (missing := compiler_refusal()) is not None:
        yield "inductor", missing


_recipe = partial(KnownRecipe.of, "pytorch")

CONFIG = PytorchConfig()
