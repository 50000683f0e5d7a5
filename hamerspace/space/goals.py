"""Goals narrow a space to one kind of compression.

The uncompressed model on each runtime stays in every one of them: it is what a gain is told
against, and a goal that gains nothing should not pretend to.
"""

from hamerspace.config.space import DeclaredParameter, SpaceConfig
from hamerspace.config.study import AUTO_GOAL
from hamerspace.errors import ConfigError
from hamerspace.recipe import Scalar
from hamerspace.space.space import Space

_TECHNIQUES = ("prune.", "sparsify.", "student.", "recover.", "distill.")
_PRUNING: dict[str, list[Scalar]] = {
    "prune.ratio": [0.0, 0.3, 0.5, 0.7],
    "prune.round_to": [8, 16],
}
_OFFERS: dict[str, dict[str, list[Scalar]]] = {
    "quantize": {},
    "prune": _PRUNING,
    "distill": {**_PRUNING, "student.width": [1.0, 0.75, 0.5]},
}
"""What a goal searches where the space does not mention it."""

_FIXED: dict[str, dict[str, list[Scalar]]] = {
    "quantize": {},
    # Without data to train on, all but none is masked.
    "prune": {"recover.method": ["finetune", "distill", "bn", "none"]},
    "distill": {"recover.method": ["distill"]},
}
"""What a goal fixes, whatever the space says."""

_SWITCHES = {
    "prune": ("prune.ratio", "sparsify.ratio"),
    "distill": ("student.width", "prune.ratio"),
}


def narrow(config: SpaceConfig, goal: str) -> SpaceConfig:
    """The part of a space that serves a goal, with what the goal needs and the space left out.

    ``quantize`` keeps precisions and fusions, quantization-aware training included. ``prune`` and
    ``distill`` keep floating point: the first removes channels or weights and lets the model
    recover, the second trains smaller models by the source model's outputs.

    Args:
        config: The declared space.
        goal: ``auto``, ``quantize``, ``prune`` or ``distill``.
    """
    if goal == AUTO_GOAL:
        return config
    kept = {name: value for name, value in config.parameters.items() if _serves(name, goal)}
    for name, values in _OFFERS[goal].items():
        if name not in kept:
            kept[name] = DeclaredParameter(choices=tuple(values))
    for name, values in _FIXED[goal].items():
        kept[name] = DeclaredParameter(choices=tuple(values))
    return config.model_copy(update={"parameters": kept})


def refuse_idle_goal(space: Space, goal: str) -> None:
    """Refuse a goal of which nothing is left for this model, with the reasons.

    Raises:
        ConfigError: The space holds nothing but the uncompressed model.
    """
    names = _SWITCHES.get(goal) or tuple(
        choice.name for choice in space.choices if choice.name.endswith(".quantization")
    )
    choices = [choice for choice in space.choices if choice.name in names]
    if any(choice.asked for choice in choices):
        return
    behind = (*names, "recover.method")
    reasons = dict.fromkeys(m.reason for m in space.masks if m.parameter in behind)
    raise ConfigError(
        f"goal '{goal}': nothing of it is possible for this model"
        + (f": {'; '.join(reasons)}" if reasons else "")
        + "; choose another goal, or auto"
    )


def _serves(name: str, goal: str) -> bool:
    if goal == "quantize":
        return not name.startswith(_TECHNIQUES)
    # At its default no backend quantises, and what depends on quantisation is inert.
    return not name.startswith("qat.") and not name.endswith(".quantization")
