"""What the OpenVINO backend offers, known without importing OpenVINO."""

from collections.abc import Mapping
from functools import partial

from hamerspace.backends.base import BackendConfig, Host
from hamerspace.recipe import Condition, KnownRecipe, Mask, Parameter, Scalar
from hamerspace.tasks.model import SourceInfo

_QUANTIZATION = "openvino.quantization"
_INT8 = (Condition(_QUANTIZATION, ("int8",)),)
_INT4 = (Condition(_QUANTIZATION, ("weights_int4",)),)


class OpenVinoConfig(BackendConfig):
    """OpenVINO on the CPU, models compressed with NNCF."""

    name = "openvino"
    title = "OpenVINO"
    modules = ("openvino", "nncf")
    distributions = ("openvino", "nncf")
    extra = "openvino"
    model_formats = ("onnx", "tflite")
    implementation = "hamerspace.backends.openvino.backend:OpenVinoBackend"
    layers_a_weight = 4
    model_suffixes = (".xml",)
    companion_suffixes = (".bin",)
    build_modules = ("nncf.torch", "nncf.openvino.quantization.quantize_model")

    def parameters(self) -> tuple[Parameter, ...]:
        return (
            Parameter(
                _QUANTIZATION,
                "none",
                "int8 quantises activations too and needs calibration data; the others only "
                "store weights in fewer bits.",
                ("none", "int8", "weights_int8", "weights_int4"),
                calibrated=("int8",),
            ),
            Parameter(
                "openvino.preset",
                "mixed",
                "Activations asymmetric where that helps (mixed), or always symmetric.",
                ("mixed", "performance"),
                when=_INT8,
            ),
            Parameter(
                "openvino.smooth_quant",
                default=False,
                description="Treat as a transformer and move activation outliers into weights.",
                choices=(False, True),
                when=_INT8,
            ),
            Parameter(
                "openvino.bias_correction",
                "fast",
                "How biases make up for what quantisation shifts: as estimated a layer at a time "
                "(fast), as measured with all before it quantised (accurate), or not at all, which "
                "is the best for some residual networks.",
                ("fast", "accurate", "none"),
                when=_INT8,
                short="bias correction",
                optional=True,
            ),
            Parameter(
                "openvino.group_size",
                32,
                "Weights that share a scale; a layer that it does not divide takes a smaller "
                "power of two, or int8.",
                (32, 64, 128, -1),
                when=_INT4,
            ),
            Parameter(
                "openvino.int4_method",
                "plain",
                "How 4-bit weights are found: plain rounding, or with regard to activations, "
                "which needs calibration data and takes minutes (gptq) or seconds.",
                ("plain", "scale_estimation", "gptq"),
                when=_INT4,
                calibrated=("scale_estimation", "gptq"),
            ),
            Parameter(
                "openvino.float_layers",
                0,
                "How many of the layers that suffer most from quantisation stay in float.",
                low=0,
                high=64,
                when=(Condition(_QUANTIZATION, ("int8", "weights_int8", "weights_int4")),),
                short="float layers",
            ),
            # Also for int8: what stays in floating point between quantised operators follows it.
            Parameter(
                "openvino.precision",
                "f32",
                "Floating-point precision of the computation.",
                ("f32", "bf16"),
                runtime=True,
            ),
        )

    def capabilities(self, source: SourceInfo, host: Host) -> tuple[Mask, ...]:
        masks = _quantization_masks(source)
        families = set(source.op_families)
        if not families & {"linear", "attention"}:
            reason = "SmoothQuant works on matrix products; the model has none"
            masks.append(Mask("openvino.smooth_quant", (True,), reason))
        if host.machine not in ("x86_64", "AMD64"):
            reason = f"OpenVINO computes bf16 on x86-64 only, not on {host.machine}"
            masks.append(Mask("openvino.precision", ("bf16",), reason))
        elif not host.cpu_flags & {"amx_bf16", "avx512_bf16"}:
            reason = "the processor has neither amx_bf16 nor avx512_bf16"
            masks.append(Mask("openvino.precision", ("bf16",), reason))
        return tuple(masks)

    def sensitivity_parameters(self, parameters: Mapping[str, Scalar]) -> dict[str, Scalar] | None:
        """The scheme; how 4-bit weights are found is too slow to do once a layer.

        Nor are biases corrected in a ranking.
        """
        inert = ("int4_method", "bias_correction")
        return super().sensitivity_parameters(
            {name: value for name, value in parameters.items() if name not in inert}
        )

    def known_recipes(self, source: SourceInfo) -> tuple[KnownRecipe, ...]:
        """The f32 baseline, then fewer bits; ratios were measured on one thread at batch 1.

        NNCF's own default is what ``nncf.quantize`` does when told nothing but the model and the
        data: symmetric activations, no SmoothQuant. OpenVINO would run it in bf16 where the
        processor has that, so both precisions count as the default.
        """
        families = set(source.op_families)
        if "rnn" in families:
            f32, bf16, int8_ratio, weights = 0.57, 0.7, 1.0, 1.0
        elif "attention" in families:
            f32, bf16, int8_ratio, weights = 0.39, 0.63, 0.5, 0.65
        elif "conv" in families:
            f32, bf16, int8_ratio, weights = 0.3, 0.57, 0.4, 0.97
        else:
            f32, bf16, int8_ratio, weights = 0.4, 0.63, 0.5, 0.7
        recipes = [
            _recipe(f32, 1.0, 0.0, quantization="none", precision="f32"),
            _recipe(f32 * bf16, 1.0, 0.05, quantization="none", precision="bf16"),
        ]
        if source.details.get("quantized"):
            return tuple(recipes)
        int8 = partial(_recipe, f32 * int8_ratio, 0.3, quantization="int8")
        if families & {"conv", "linear", "attention", "rnn"}:
            default = partial(int8, 10.0 if "rnn" in families else 0.3, "NNCF int8")
            recipes += [
                default(preset="performance", smooth_quant=False, precision=precision)
                for precision in ("f32", "bf16")
            ]
        if "rnn" not in families and families & {"conv", "linear", "attention"}:
            recipes.append(int8(0.2, preset="mixed"))
            if "conv" in families:
                recipes.append(int8(0.15, preset="performance", bias_correction="none"))
        if families & {"conv", "linear", "attention", "embedding"}:
            recipes.append(_recipe(f32 * weights, 0.3, 0.05, quantization="weights_int8"))
        if "attention" in families:
            int4 = partial(_recipe, f32 * weights, 0.15, quantization="weights_int4", group_size=32)
            recipes += [int4(0.5, int4_method="plain"), int4(0.3, int4_method="scale_estimation")]
        return tuple(recipes)


def _quantization_masks(source: SourceInfo) -> list[Mask]:
    if source.details.get("quantized"):
        reason = "already quantised: it is measured and re-targeted, not quantised again"
        return [Mask(_QUANTIZATION, (), reason, excluded=("none",))]
    families = set(source.op_families)
    masks = []
    if not families & {"conv", "linear", "attention", "rnn"}:
        reason = "int8 needs a convolution, a matrix product or a recurrent layer"
        masks.append(Mask(_QUANTIZATION, ("int8",), reason))
    # NNCF leaves the weights of LSTM and GRU layers as they are.
    if not families & {"conv", "linear", "attention", "embedding"}:
        reason = "the model has no weights that NNCF can compress"
        masks.append(Mask(_QUANTIZATION, ("weights_int8", "weights_int4"), reason))
    elif not families & {"linear", "attention"}:
        reason = "4-bit weights are for matrix products; the rest would be int8 anyway"
        masks.append(Mask(_QUANTIZATION, ("weights_int4",), reason))
    return masks


_recipe = partial(KnownRecipe.of, "openvino")

CONFIG = OpenVinoConfig()
