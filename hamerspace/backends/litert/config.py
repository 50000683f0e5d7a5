"""What the LiteRT backend offers, known without importing LiteRT."""

from functools import partial

from hamerspace.backends.base import BackendConfig, Host
from hamerspace.recipe import Condition, KnownRecipe, Mask, Parameter
from hamerspace.tasks.model import SourceInfo

_QUANTIZATION = "litert.quantization"
_DYNAMIC = ("dynamic_int8", "dynamic_int4")
_INTEGER = (*_DYNAMIC, "static_int8", "weights_int8")
_WEIGHTED = {"conv", "linear", "attention", "rnn", "embedding"}


class LiteRtConfig(BackendConfig):
    """LiteRT's interpreter on the CPU, models quantised with AI Edge Quantizer."""

    name = "litert"
    title = "LiteRT"
    modules = ("ai_edge_litert", "ai_edge_quantizer")
    runtime = "ai_edge_litert.interpreter"
    distributions = ("ai-edge-litert", "ai-edge-quantizer")
    extra = "tensorflow"
    model_formats = ("tflite",)
    source_formats = ("keras", "saved_model")
    implementation = "hamerspace.backends.litert.backend:LiteRtBackend"
    model_suffixes = (".tflite",)
    build_modules = ("ai_edge_litert.interpreter", "ai_edge_quantizer.quantizer")

    def parameters(self) -> tuple[Parameter, ...]:
        return (
            Parameter(
                _QUANTIZATION,
                "none",
                "dynamic quantises activations as they come, static by calibration data; weights "
                "and fp16 only store less.",
                ("none", "dynamic_int8", "static_int8", "weights_int8", "dynamic_int4", "fp16"),
                calibrated=("static_int8",),
            ),
            # TensorFlow's own converter leaves small layers alone, which is often faster.
            Parameter(
                "litert.min_weights",
                1024,
                "Layers with fewer weights stay in floating point.",
                (1024, 0),
                when=(Condition(_QUANTIZATION, _DYNAMIC),),
            ),
            Parameter(
                "litert.float_layers",
                0,
                "Number of layers, the most sensitive ones, that stay in floating point.",
                low=0,
                high=16,
                when=(Condition(_QUANTIZATION, _INTEGER),),
            ),
            Parameter(
                "litert.xnnpack",
                default=True,
                description="Run on XNNPACK's kernels, or on LiteRT's own.",
                choices=(True, False),
                runtime=True,
            ),
        )

    def capabilities(self, source: SourceInfo, host: Host) -> tuple[Mask, ...]:  # noqa: ARG002
        families = set(source.op_families)
        values: tuple[str, ...] = (*_INTEGER, "fp16")
        if source.details.get("quantized"):
            reason = "the model is quantised already"
        elif not families & _WEIGHTED:
            reason = "the model has no weights that could take fewer bits"
        elif not families & {"conv", "linear", "attention", "rnn"}:
            values = ("static_int8",)
            reason = "static int8 needs a convolution or a matrix product; the model has none"
        else:
            return ()
        return (Mask(_QUANTIZATION, values, reason),)

    def known_recipes(self, source: SourceInfo) -> tuple[KnownRecipe, ...]:
        """The fp32 baseline, then int8; ratios were measured on one thread at batch 1."""
        families = set(source.op_families)
        if "rnn" in families:
            fp32, dynamic, static = 0.89, 0.23, 0.42
        elif "attention" in families:
            fp32, dynamic, static = 0.3, 0.45, 1.4
        elif "conv" in families:
            fp32, dynamic, static = 0.2, 0.5, 0.4
        else:
            fp32, dynamic, static = 0.3, 0.5, 0.5
        recipes = [_recipe(fp32, 1.0, 0.0, quantization="none")]
        if source.details.get("quantized") or not families & _WEIGHTED:
            return tuple(recipes)
        default = partial(_recipe, fp32 * dynamic, 0.3, 0.1, "LiteRT dynamic int8")
        recipes.append(default(quantization="dynamic_int8", min_weights=1024))
        if families & {"conv", "linear", "attention", "rnn"}:
            recipes.append(_recipe(fp32 * static, 0.3, 0.1, quantization="static_int8"))
        recipes.append(_recipe(fp32, 0.3, 0.05, quantization="weights_int8"))
        if families & {"linear", "attention", "rnn"}:
            recipes.append(_recipe(fp32 * dynamic, 0.2, 0.3, quantization="dynamic_int4"))
        return tuple(recipes)


_recipe = partial(KnownRecipe.of, "litert")

CONFIG = LiteRtConfig()
