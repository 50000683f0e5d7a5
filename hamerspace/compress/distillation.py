"""Parameters of distillation, shared by every technique that lets the source model teach.

Hinton, Vinyals and Dean 2015, https://arxiv.org/abs/1503.02531.
"""

from collections.abc import Mapping

from hamerspace.compress.base import TechniqueJob
from hamerspace.recipe import Condition, Mask, Parameter, Scalar

TEMPERATURE = "distill.temperature"
WEIGHT = "distill.weight"

_DEFAULT_TEMPERATURE = 4.0
_DEFAULT_WEIGHT = 0.7


def distillation_parameters(when: Condition) -> tuple[Parameter, ...]:
    """The parameters, active where a technique distils."""
    return (
        Parameter(
            TEMPERATURE,
            _DEFAULT_TEMPERATURE,
            "Softens the class scores of the source and of the model that learns from it.",
            low=1.0,
            high=20.0,
            when=(when,),
        ),
        Parameter(
            WEIGHT,
            _DEFAULT_WEIGHT,
            "Share of the source's outputs in the loss; the rest is the labels'.",
            low=0.0,
            high=1.0,
            when=(when,),
            short="distill weight",
        ),
    )


def inert_distillation(loss: str) -> tuple[Mask, ...]:
    """What a loss leaves without effect, so that it cannot tell two recipes apart.

    Args:
        loss: As in :class:`hamerspace.compress.TrainingData`.
    """
    masks = []
    if loss not in ("cross_entropy", "binary_cross_entropy"):
        reason = "only class scores have a temperature, and this model learns no classes"
        masks.append(Mask(TEMPERATURE, (), reason, excluded=(_DEFAULT_TEMPERATURE,)))
    if loss == "none":
        reason = "without labels, or a loss that fits them, the source model alone teaches"
        masks.append(Mask(WEIGHT, (), reason, excluded=(_DEFAULT_WEIGHT,)))
    return tuple(masks)


def distillation_of(recipe: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """The same of a recipe, for a stage that distils."""
    return {
        TEMPERATURE: float(recipe.get(TEMPERATURE, _DEFAULT_TEMPERATURE)),
        WEIGHT: float(recipe.get(WEIGHT, _DEFAULT_WEIGHT)),
    }


def teaching_of(job: TechniqueJob) -> tuple[float, float]:
    """Temperature and weight of the source, which teaches alone where no loss fits the labels."""
    weight = 1.0 if job.training.loss == "none" else float(job.parameters[WEIGHT])
    return float(job.parameters[TEMPERATURE]), weight
