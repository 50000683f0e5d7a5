"""Recovery: give a pruned model back what pruning took, from data, labels or the source model."""

from collections.abc import Mapping
from typing import ClassVar

from hamerspace.compress.base import Technique, TechniqueJob
from hamerspace.compress.distillation import (
    distillation_of,
    distillation_parameters,
    inert_distillation,
)
from hamerspace.errors import BuildError
from hamerspace.recipe import Condition, Mask, Parameter, Scalar
from hamerspace.tasks.model import ModelArtifact, SourceInfo

_PRUNED = Condition(
    "prune.ratio",
    excluded=(0.0,),
    alternatives=(Condition("sparsify.ratio", excluded=(0.0,)),),
)
_SOURCE_ALONE = "the train split has no labels, or no loss that fits them (task.quality.loss)"
_TRAINS = Condition("recover.method", values=("finetune", "distill"))
_SOURCE_TEACHES = Condition(
    "recover.method",
    values=("distill",),
    alternatives=(
        Condition("qat.method", excluded=("none",)),
        Condition("student.width", excluded=(1.0,)),
    ),
)


class Recovery(Technique):
    """Fine-tunes a pruned module, or distils the source model into it.

    Distillation: Hinton, Vinyals and Dean 2015, https://arxiv.org/abs/1503.02531. Statistics of
    batch normalisation: Izmailov et al. 2018, https://arxiv.org/abs/1803.05407, and Li et al.
    2020, https://arxiv.org/abs/2007.02491.
    """

    name = "recover"
    modules = ("torch", "safetensors")
    extra = "pytorch"
    distributions = ("torch",)
    needs_training_data = True
    typical_s = 20.0
    demands: ClassVar = {
        # Without data to train on, all but none is masked.
        "prune": {"recover.method": ("finetune", "distill", "bn", "none")},
        "distill": {"recover.method": ("distill",)},
    }

    def parameters(self) -> tuple[Parameter, ...]:
        return (
            Parameter(
                "recover.method",
                "none",
                "How a pruned model recovers: new statistics of batch normalisation only, or "
                "training on labels, or on the source's outputs too.",
                choices=("none", "bn", "finetune", "distill"),
                when=(_PRUNED,),
            ),
            Parameter(
                "recover.epochs",
                1,
                "Passes over the train split.",
                low=1,
                high=20,
                when=(_TRAINS,),
            ),
            *distillation_parameters(_SOURCE_TEACHES),
        )

    def capabilities(self, source: SourceInfo, loss: str | None) -> tuple[Mask, ...]:
        if loss is None:
            methods = ("bn", "finetune", "distill")
            return (Mask("recover.method", methods, "there is no train split"),)
        masks = list(inert_distillation(loss))
        if loss == "none":
            masks.append(Mask("recover.method", ("finetune",), _SOURCE_ALONE))
        if not _may_have_batch_norm(source):
            masks.append(Mask("recover.method", ("bn",), "the model has no batch normalisation"))
        return tuple(masks)

    def stage_parameters(self, recipe: Mapping[str, Scalar]) -> dict[str, Scalar] | None:
        own = super().stage_parameters(recipe)
        if own is None or not _PRUNED.holds(recipe):
            return None
        return {**own, **distillation_of(recipe)} if own["recover.method"] == "distill" else own

    def change(self, job: TechniqueJob) -> ModelArtifact:
        model, data, method = job.model, job.training, job.parameters["recover.method"]
        if method == "finetune" and data.loss == "none":
            raise BuildError(f"fine-tuning learns from labels, but {_SOURCE_ALONE}; distil instead")
        from hamerspace.compress._batch_norm import reestimate
        from hamerspace.compress._rows import TrainingRows
        from hamerspace.compress._train import train
        from hamerspace.tasks.torch_module import load_module, save_module

        module = load_module(model)
        rows = TrainingRows(data, model.inputs)
        if method == "bn":
            reestimate(module, rows, job.seed)
        else:
            epochs = int(job.parameters["recover.epochs"])
            train(module, rows, job, epochs, distils=method == "distill")
        return save_module(module.inner, model, job.workdir)


def _may_have_batch_norm(source: SourceInfo) -> bool:
    """As far as inspection tells; conversions may fold it away yet."""
    if "batch_norm" in source.details:
        return bool(source.details["batch_norm"])
    if "layers" in source.details:
        return "BatchNormalization" in source.details["layers"]
    return "norm" in source.op_families


TECHNIQUE = Recovery()
