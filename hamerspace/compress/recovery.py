"""Recovery: train what pruning left, on labels or on what the source model says."""

from collections.abc import Mapping
from pathlib import Path

from hamerspace.compress.base import Technique, TrainingData
from hamerspace.errors import BuildError
from hamerspace.recipe import Condition, Mask, Parameter, Scalar
from hamerspace.tasks.model import ModelArtifact, SourceInfo

_PRUNED = Condition("prune.ratio", excluded=(0.0,))
_TRAINS = Condition("recover.method", values=("finetune", "distill"))
_DISTILLS = Condition("recover.method", values=("distill",))


class Recovery(Technique):
    """Fine-tunes a pruned module, or distils the source model into it.

    Distillation: Hinton, Vinyals and Dean 2015, https://arxiv.org/abs/1503.02531.
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
                "How a pruned model is trained again: on labels, or on the source's outputs too.",
                choices=("none", "finetune", "distill"),
                when=(_PRUNED,),
            ),
            Parameter(
                "recover.epochs",
                1,
                "Passes over the train split.",
                low=1,
                high=20,
                when=(_PRUNED, _TRAINS),
            ),
            Parameter(
                "distill.temperature",
                4.0,
                "Softens the outputs of source and pruned model.",
                low=1.0,
                high=20.0,
                when=(_PRUNED, _DISTILLS),
            ),
            Parameter(
                "distill.alpha",
                0.7,
                "Share of the source's outputs in the loss; the rest is the labels'.",
                low=0.0,
                high=1.0,
                when=(_PRUNED, _DISTILLS),
            ),
        )

    def capabilities(self, source: SourceInfo, loss: str | None) -> tuple[Mask, ...]:
        methods: tuple[Scalar, ...] = ("finetune", "distill")
        if source.format != "pytorch":
            return (
                Mask(
                    "recover.method",
                    methods,
                    f"only a pytorch module can be trained, and the source is {source.format}",
                ),
            )
        if loss is None:
            return (Mask("recover.method", methods, "there is no train split"),)
        if loss == "none":
            return (Mask("recover.method", ("finetune",), "the train split has no labels"),)
        return ()

    def stage_parameters(self, recipe: Mapping[str, Scalar]) -> dict[str, Scalar] | None:
        method = recipe.get("recover.method", "none")
        if method == "none" or recipe.get("prune.ratio", 0.0) == 0.0:
            return None
        chosen: dict[str, Scalar] = {
            "recover.method": method,
            "recover.epochs": int(recipe.get("recover.epochs", 1)),
        }
        if method == "distill":
            chosen["distill.temperature"] = float(recipe.get("distill.temperature", 4.0))
            chosen["distill.alpha"] = float(recipe.get("distill.alpha", 0.7))
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
            raise BuildError("fine-tuning needs labels in the train split; distil instead")
        from hamerspace.compress._train import Distillation, train
        from hamerspace.tasks.torch_module import load_module, save_module

        distillation = None
        if method == "distill":
            distillation = Distillation(
                load_module(source),
                temperature=float(parameters["distill.temperature"]),
                alpha=1.0 if data.loss == "none" else float(parameters["distill.alpha"]),
            )
        module = load_module(model)
        fixed_rows = model.inputs[0].shape[0]
        train(
            module,
            data,
            distillation,
            epochs=int(parameters["recover.epochs"]),
            seed=seed,
            fixed_rows=fixed_rows,
        )
        return save_module(module.inner, model, workdir)


TECHNIQUE = Recovery()
