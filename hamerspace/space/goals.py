"""Goals narrow a space to one kind of compression.

The uncompressed model on each runtime stays in every one of them: it is what a gain is told
against, and a goal that gains nothing should not pretend to.
"""

from collections.abc import Iterator

from hamerspace.backends import BACKENDS
from hamerspace.compress import TECHNIQUES
from hamerspace.config.space import DeclaredParameter, SpaceConfig
from hamerspace.config.study import AUTO_GOAL
from hamerspace.errors import ConfigError
from hamerspace.space.space import Space

_QUANTIZE = "quantize"


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
    idle = set(_idle(goal))
    kept = {name: value for name, value in config.parameters.items() if name not in idle}
    for technique in TECHNIQUES.values():
        for name, values in technique.goals.get(goal, {}).items():
            kept.setdefault(name, DeclaredParameter(choices=values))
    for technique in TECHNIQUES.values():
        for name, values in technique.demands.get(goal, {}).items():
            kept[name] = DeclaredParameter(choices=values)
    return config.model_copy(update={"parameters": kept})


def refuse_idle_goal(space: Space, goal: str) -> None:
    """Refuse a goal of which nothing is left for this model, with the reasons.

    Raises:
        ConfigError: The space holds nothing but the uncompressed model.
    """
    names = {technique.switch for technique in TECHNIQUES.values() if goal in technique.goals}
    if goal == _QUANTIZE:
        names = {config.quantization_name for config in BACKENDS.values()}
    if any(choice.asked for choice in space.choices if choice.name in names):
        return
    behind = names.union(*(fixed for t in TECHNIQUES.values() for fixed in t.demands.values()))
    reasons = dict.fromkeys(m.reason for m in space.masks if m.parameter in behind)
    raise ConfigError(
        f"goal '{goal}': nothing of it is possible for this model"
        + (f": {'; '.join(reasons)}" if reasons else "")
        + "; choose another goal, or auto"
    )


def _idle(goal: str) -> Iterator[str]:
    """Names of the parameters that do not serve a goal."""
    for technique in TECHNIQUES.values():
        if technique.lowers_precision != (goal == _QUANTIZE):
            yield from (parameter.name for parameter in technique.parameters())
    if goal != _QUANTIZE:
        # At its default no backend quantises, and what depends on quantisation is inert.
        yield from (config.quantization_name for config in BACKENDS.values())
