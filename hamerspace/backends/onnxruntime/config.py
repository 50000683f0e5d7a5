"""What the ONNX Runtime backend offers, known without importing ONNX Runtime."""

from hamerspace.backends.base import BackendConfig, Host
from hamerspace.recipe import Condition, KnownRecipe, Mask, Parameter
from hamerspace.tasks.model import SourceInfo

_QUANTIZATION = "onnxruntime.quantization"
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
    build_modules = ("onnxruntime.quantization",)

    def parameters(self) -> tuple[Parameter, ...]:
        return (
            Parameter(
                _QUANTIZATION,
                "none",
                "Precision: static int8 needs calibration data, dynamic int8 and fp16 do not.",
                ("none", "static_int8", "dynamic_int8", "fp16"),
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

    def capabilities(self, source: SourceInfo, host: Host) -> tuple[Mask, ...]:  # noqa: ARG002
        families = set(source.op_families)
        masks = []
        if not families & {"conv", "linear", "attention"}:
            reason = "static int8 needs a convolution or a matrix product; the model has none"
            masks.append(Mask(_QUANTIZATION, ("static_int8",), reason))
        if not families & {"conv", "linear", "attention", "rnn", "embedding"}:
            reason = "dynamic int8 finds no operator with weights that it can quantise"
            masks.append(Mask(_QUANTIZATION, ("dynamic_int8",), reason))
        elif not families & {"linear", "attention", "rnn", "embedding"}:
            reason = "the model has no weights outside its convolutions"
            masks.append(Mask("onnxruntime.dynamic_op_types", ("linear",), reason))
        return tuple(masks)

    def known_recipes(self, source: SourceInfo) -> tuple[KnownRecipe, ...]:
        """The fp32 baseline, then int8; ratios were measured on one thread at batch 1."""
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
        if families & {"conv", "linear", "attention"}:
            recipes.append(_recipe(fp32 * static, 0.27, 0.1, quantization="static_int8"))
        if families & {"linear", "attention", "rnn", "embedding"}:
            # Where convolutions hold the weights, the linear layers are the small rest.
            size = 0.9 if "conv" in families else 0.25
            linear = {"quantization": "dynamic_int8", "dynamic_op_types": "linear"}
            if "attention" in families:
                # Fused float attention is lost to dynamic quantisation: less fusion is faster.
                linear["optimization_level"] = "basic"
            recipes.append(_recipe(fp32 * dynamic, size, 0.2, **linear))
        return tuple(recipes)


def _recipe(latency: float, size: float, drop: float, **parameters: str) -> KnownRecipe:
    named = {f"onnxruntime.{name}": value for name, value in parameters.items()}
    return KnownRecipe({"backend": "onnxruntime", **named}, latency, size, drop)


CONFIG = OnnxRuntimeConfig()
