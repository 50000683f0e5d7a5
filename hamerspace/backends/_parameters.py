"""Check what a backend is handed against what it offers."""

from collections.abc import Mapping

from hamerspace.backends.base import BackendConfig
from hamerspace.errors import BuildError, did_you_mean
from hamerspace.recipe import Scalar


def complete_parameters(
    config: BackendConfig, given: Mapping[str, Scalar], *, runtime: bool = False
) -> dict[str, Scalar]:
    """Return the active parameters without the backend's prefix, missing ones at their defaults.

    Args:
        config: The backend that was asked.
        given: Names without the prefix, as :meth:`Backend.build` takes them.
        runtime: Whether ``given`` are the options of a load instead of those of a build. The
            conditions of runtime parameters may name build parameters, which a load does not
            know, so they are not looked at.

    Raises:
        BuildError: A name or a value is not the backend's, or a parameter is not active.
    """
    prefix = f"{config.name}."
    offered = [p for p in config.parameters() if p.runtime == runtime]
    known = {p.name.removeprefix(prefix) for p in offered}
    for name in given:
        if name not in known:
            kind = "runtime option" if runtime else "build parameter"
            hint = did_you_mean(name, known)
            raise BuildError(f"{config.name} has no {kind} '{name}'{hint}")
    chosen: dict[str, Scalar] = {"backend": config.name}
    for parameter in offered:
        short = parameter.name.removeprefix(prefix)
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
    return {name.removeprefix(prefix): v for name, v in chosen.items() if name != "backend"}
