"""What the ONNX Runtime backend offers, known without importing ONNX Runtime."""

from functools import partial

from hamerspace.backends.base import BackendConfig, Host
from hamerspace.recipe import Condition, KnownRecipe, Mask, Parameter
from hamerspace.tasks.model import SourceInfo

_QUANTIZATION = "onnxruntime.quantization"
_KINDS = ("none", "static_int8", "dynamic_int8", "weights_int8", "weights_int4", "fp16")
_WEIGHTS_ONLY = ("weights_int8", "weights_int4")
LAYERED = ("static_int8", "dynamic_int8", *_WEIGHTS_ONLY)
_DYNAMIC = (Condition(_QUANTIZATION, ("dynamic_int8",)),)


class OnnxRuntimeConfig(BackendConfig):
    """ONNX Runtime on the CPU."""

    name = "onnxruntime"
    title = "ONNX Runtime"
    modules = ("onnxruntime", "onnx")
    distributions = ("onnxruntime", "onnx")
    extra = "onnx"
    model_formats = ("onnx",)
    implementation = "hamerspace.backends.onnxruntime.backend:OnnxRuntimeBackend"
    model_suffixes = (".onnx",)
    build_modules = ("onnxruntime.quantization",)
    layers_a_weight = 4

    def parameters(self) -> tuple[Parameter, ...]:
        return (
            Parameter(
                _QUANTIZATION,
                "none",
                "Precision: static int8 needs calibration data, the others do not; weights_int8 "
                "and weights_int4 store the weights of linear layers in blocks.",
                _KINDS,
                calibrated=("static_int8",),
            ),
            Parameter(
                "onnxruntime.activation_type",
                "quint8",
                "Signedness of statically quantised activations.",
                ("quint8", "qint8"),
                when=(Condition(_QUANTIZATION, ("static_int8",)),),
            ),
            Parameter(
                "onnxruntime.per_channel",
                default=True,
                description="One scale a channel for statically quantised weights, or one for all.",
                choices=(True, False),
                when=(Condition(_QUANTIZATION, ("static_int8",)),),
                optional=True,
            ),
            Parameter(
                "onnxruntime.dynamic_op_types",
                "all",
                "Which operators dynamic int8 touches; 'linear' leaves convolutions alone.",
                ("all", "linear"),
                when=_DYNAMIC,
            ),
            Parameter(
                "onnxruntime.weight_type",
                "qint8",
                "Signedness of dynamically quantised weights.",
                ("qint8", "quint8"),
                when=_DYNAMIC,
            ),
            Parameter(
                "onnxruntime.block_size",
                32,
                "Weights that share a scale; larger blocks are smaller and faster.",
                (32, 64, 128),
                when=(Condition(_QUANTIZATION, _WEIGHTS_ONLY),),
            ),
            Parameter(
                "onnxruntime.fusion",
                "none",
                "Fuse attention, embeddings and normalisation beyond what loading does.",
                ("none", "transformer"),
                when=(Condition(_QUANTIZATION, ("none", "dynamic_int8")),),
            ),
            Parameter(
                "onnxruntime.float_layers",
                0,
                "How many of the layers that suffer most from quantisation stay in float.",
                low=0,
                high=64,
                when=(Condition(_QUANTIZATION, LAYERED),),
                short="float layers",
            ),
            # The integer kernels of a QDQ model come into being by fusion, at level 'all' only.
            Parameter(
                "onnxruntime.optimization_level",
                "all",
                "Graph optimisation at load.",
                ("all", "basic", "extended", "disabled"),
                when=(Condition(_QUANTIZATION, excluded=("static_int8",)),),
                runtime=True,
            ),
        )

    def capabilities(self, source: SourceInfo, host: Host) -> tuple[Mask, ...]:
        masks = [*_quantization_masks(source)]
        families = set(source.op_families)
        if "attention" not in families:
            reason = "transformer fusion needs attention; the model has none"
            masks.append(Mask("onnxruntime.fusion", ("transformer",), reason))
        if families & {"conv"} and not families & {"linear", "attention", "rnn", "embedding"}:
            reason = "the model has no weights outside its convolutions"
            masks.append(Mask("onnxruntime.dynamic_op_types", ("linear",), reason))
        if host.machine in ("x86_64", "AMD64"):
            reason = "the int8 instructions of x86-64 take unsigned activations; signed are slower"
            masks.append(Mask("onnxruntime.activation_type", ("qint8",), reason))
        return tuple(masks)

    def known_recipes(self, source: SourceInfo) -> tuple[KnownRecipe, ...]:
        """The fp32 baseline, then int8; ratios were measured on one thread at batch 1.

        The tool's own default is what its quantiser does when told nothing but the model, with
        the unsigned activations that its documentation wants for x86-64:
        <https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html>.
        """
        families = set(source.op_families)
        if "rnn" in families:
            fp32, static, dynamic = 0.52, 1.0, 0.49
        elif "attention" in families:
            fp32, static, dynamic = 0.52, 0.6, 0.6
        elif "conv" in families:
            fp32, static, dynamic = 0.3, 0.6, 1.0
        else:
            fp32, static, dynamic = 0.5, 0.6, 0.6
        recipes = [_recipe(fp32, 1.0, 0.0, quantization="none")]
        if source.details.get("quantized"):
            return tuple(recipes)
        if families & {"conv", "linear", "attention"}:
            int8 = partial(_recipe, fp32 * static, 0.27, quantization="static_int8")
            recipes.append(int8(0.3, "ONNX Runtime static int8", per_channel=False))
            recipes.append(int8(0.1))
        if families & {"linear", "attention", "rnn", "embedding"}:
            # Where convolutions hold the weights, the linear layers are the small rest.
            size = 0.9 if "conv" in families else 0.25
            linear = {"quantization": "dynamic_int8", "dynamic_op_types": "linear"}
            if "attention" in families:
                # Fused float attention is lost to dynamic quantisation: less fusion is faster.
                linear["optimization_level"] = "basic"
            recipes.append(_recipe(fp32 * dynamic, size, 0.2, **linear))
        if families & {"conv", "linear", "attention", "rnn", "embedding"}:
            default = partial(_recipe, fp32 * (7.0 if "conv" in families else dynamic), 0.25, 0.3)
            everything = {"dynamic_op_types": "all", "weight_type": "qint8"}
            dynamic_int8 = {"quantization": "dynamic_int8", **everything}
            recipes.append(default("ONNX Runtime dynamic int8", **dynamic_int8))
        if "attention" in families:
            int4 = _recipe(fp32 * 0.9, 0.2, 0.5, quantization="weights_int4", block_size=32)
            recipes.append(int4)
        return tuple(recipes)


def _quantization_masks(source: SourceInfo) -> list[Mask]:
    if source.details.get("quantized"):
        reason = "already quantised: it is measured and re-targeted, not quantised again"
        return [Mask(_QUANTIZATION, (), reason, excluded=("none",))]
    families = set(source.op_families)
    masks = []
    if not families & {"conv", "linear", "attention"}:
        reason = "static int8 needs a convolution or a matrix product; the model has none"
        masks.append(Mask(_QUANTIZATION, ("static_int8",), reason))
    if not families & {"conv", "linear", "attention", "rnn", "embedding"}:
        reason = "dynamic int8 finds no operator with weights that it can quantise"
        masks.append(Mask(_QUANTIZATION, ("dynamic_int8",), reason))
    blocks = {"linear", "attention"}
    if not families & blocks:
        reason = "8-bit blocks are for matrix products; the model has none"
        masks.append(Mask(_QUANTIZATION, ("weights_int8",), reason))
    if not families & {*blocks, "embedding"}:
        reason = "4-bit blocks are for matrix products and embeddings; the model has none"
        masks.append(Mask(_QUANTIZATION, ("weights_int4",), reason))
    return masks


_recipe = partial(KnownRecipe.of, "onnxruntime")

CONFIG = OnnxRuntimeConfig()
