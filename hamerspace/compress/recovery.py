"""Recovery: give a pruned model back what pruning took, from data, labels or the source model."""

from collections.abc import Mapping
from pathlib import Path

from hamerspace.compress.base import Technique, TrainingData
from hamerspace.compress.distillation import (
    TEMPERATURE,
    WEIGHT,
    distillation_of,
    distillation_parameters,
    inert_distillation,
)
from hamerspace.compress.sparsifying import SPARSE
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
        method = recipe.get("recover.method", "none")
        if method == "none" or not _PRUNED.holds(recipe):
            return None
        chosen: dict[str, Scalar] = {"recover.method": method}
        if method != "bn":
            chosen["recover.epochs"] = int(recipe.get("recover.epochs", 1))
        if method == "distill":
            chosen |= distillation_of(recipe)
        return chosen

    def apply(
        self,
        source: ModelArtifact,
        model: ModelArtifact,
        parameters: Mapping[str, Scalar],
        data: TrainingData | None,
        workdir: Path,
        seed: int,
    ) -> ModelArtifact:
        if model.format != "pytorch":
            raise BuildError(f"only a pytorch module can be trained, not a {model.format} model")
        if data is None:
            raise BuildError("recovery needs a train split; add one to task.data")
        method = parameters["recover.method"]
        if method == "finetune" and data.loss == "none":
            raise BuildError(f"fine-tuning learns from labels, but {_SOURCE_ALONE}; distil instead")
        from hamerspace.compress._batch_norm import reestimate
        from hamerspace.compress._rows import TrainingRows
        from hamerspace.compress._sparse import zero_keeper
        from hamerspace.compress._train import Course, Distillation, train
        from hamerspace.tasks.torch_module import load_module, save_module

        module = load_module(model)
        rows = TrainingRows(data, model.inputs)
        if method == "bn":
            reestimate(module, rows, seed)
            return save_module(module.inner, model, workdir)
        distillation = None
        if method == "distill":
            distillation = Distillation(
                load_module(source),
                float(parameters[TEMPERATURE]),
                1.0 if data.loss == "none" else float(parameters[WEIGHT]),
            )
        sparse = SPARSE in model.metadata
        course = Course(
            int(parameters["recover.epochs"]),
            seed,
            after_step=zero_keeper(module.inner) if sparse else None,
        )
        train(module, rows, data.output, distillation, course)
        return save_module(module.inner, model, workdir)


def _may_have_batch_norm(source: SourceInfo) -> bool:
    """As far as inspection tells; conversions may fold it away yet."""
    if "batch_norm" in source.details:
        return bool(source.details["batch_norm"])
    if "layers" in source.details:
        return "BatchNormalization" in source.details["layers"]
    return "norm" in source.op_families


TECHNIQUE = Recovery()
