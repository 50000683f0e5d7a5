"""Check what a backend is handed against what it offers."""

from collections.abc import Mapping, Sequence

from hamerspace.errors import BuildError, did_you_mean
from hamerspace.recipe import Parameter, Scalar


def complete_parameters(
    owner: str, offers: Sequence[Parameter], given: Mapping[str, Scalar], *, runtime: bool
) -> dict[str, Scalar]:
    """See :meth:`~hamerspace.backends.base.BackendConfig.complete`."""
    prefix = f"{owner}."
    offered = {p.name.removeprefix(prefix): p for p in offers if p.runtime == runtime}
    for name in given:
        if name not in offered:
            kind = "runtime option" if runtime else "build parameter"
            raise BuildError(f"{owner} has no {kind} '{name}'{did_you_mean(name, offered)}")
    chosen: dict[str, Scalar] = {"backend": owner}
    for short, parameter in offered.items():
        if not runtime and not parameter.active(chosen):
            if short in given:
                needs = " and ".join(str(condition) for condition in parameter.when)
                raise BuildError(f"{parameter.name} has a meaning only where {needs}")
            continue
        value = given.get(short, parameter.default)
        if not parameter.accepts(value):
            legal = ", ".join(map(str, parameter.choices)) or f"{parameter.low}..{parameter.high}"
            raise BuildError(f"{parameter.name} cannot be {value!r}; legal: {legal}")
        chosen[parameter.name] = value
    return {short: chosen[p.name] for short, p in offered.items() if p.name in chosen}
