"""Quantisation-aware training: train with int8 rounding in the loop, leave an int8 ONNX model."""

from collections.abc import Mapping

from hamerspace.compress.base import Technique, TechniqueJob
from hamerspace.compress.distillation import distillation_of
from hamerspace.recipe import Condition, Mask, Parameter, Scalar
from hamerspace.tasks.model import ModelArtifact, SourceInfo

_LEARNING_RATE = 1e-4

# Runtimes that run quantised ONNX in int8, where they are left to quantise nothing themselves.
_RUNS_AS_IT_IS = Condition(
    "onnxruntime.quantization",
    values=("none",),
    alternatives=(Condition("openvino.quantization", values=("none",)),),
)


class QuantizationAwareTraining(Technique):
    """Inserts NNCF's fake quantisers into the module, trains it and exports it to ONNX.

    Jacob et al. 2018, https://arxiv.org/abs/1712.05877. Scales are trained with the weights, with
    the straight-through estimator. The result holds weights in int8 and pairs of QuantizeLinear
    and DequantizeLinear, which ONNX Runtime and OpenVINO fuse into int8 kernels.
    """

    name = "qat"
    modules = ("torch", "nncf", "onnx", "onnxruntime")
    extra = "full"
    distributions = ("torch", "nncf", "onnx", "onnxruntime")
    needs_training_data = True
    result_format = "onnx"
    lowers_precision = True
    typical_s = 30.0

    def parameters(self) -> tuple[Parameter, ...]:
        return (
            Parameter(
                "qat.method",
                "none",
                "Quantise to int8 while training, which loses less than to quantise afterwards.",
                choices=("none", "nncf"),
                when=(_RUNS_AS_IT_IS,),
                short="qat",
            ),
            Parameter(
                "qat.epochs",
                1,
                "Passes over the train split with quantisation in the loop.",
                low=1,
                high=20,
                when=(Condition("qat.method", excluded=("none",)),),
                short="qat epochs",
            ),
        )

    def capabilities(self, source: SourceInfo, loss: str | None) -> tuple[Mask, ...]:
        if loss is None:
            reason = "there is no train split"
        elif not {"conv", "linear"} & set(source.op_families):
            reason = "the model has no convolution or linear layer"
        else:
            return ()
        return (Mask("qat.method", ("nncf",), reason),)

    def stage_parameters(self, recipe: Mapping[str, Scalar]) -> dict[str, Scalar] | None:
        own = super().stage_parameters(recipe)
        return own and {**own, **distillation_of(recipe)}

    def change(self, job: TechniqueJob) -> ModelArtifact:
        from hamerspace.compress._fake_quantize import fake_quantize, portable_kernels
        from hamerspace.compress._qdq_export import export_qdq
        from hamerspace.compress._rows import TrainingRows
        from hamerspace.compress._train import train
        from hamerspace.tasks.quiet_nncf import quiet_nncf
        from hamerspace.tasks.torch_module import load_module

        model, data = job.model, job.training
        rows = TrainingRows(data, model.inputs)
        with quiet_nncf(), portable_kernels():
            quantized = fake_quantize(load_module(model), rows, job.seed)
            train(
                quantized,
                rows,
                job,
                int(job.parameters["qat.epochs"]),
                distils=True,
                learning_rate=_LEARNING_RATE,
                # Rounding to bfloat16 before rounding to int8 would teach the wrong grid.
                half_precision=False,
            )
            return export_qdq(quantized, model, data.arrays, job.workdir)


TECHNIQUE = QuantizationAwareTraining()
