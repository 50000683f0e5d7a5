"""Make the space of one study: what the file declares, what is offered, what cannot work."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from hamerspace.backends import BACKENDS
from hamerspace.backends.base import BackendConfig, Host
from hamerspace.config.space import DeclaredParameter, SpaceConfig
from hamerspace.errors import BackendUnavailableError, ConfigError, did_you_mean
from hamerspace.recipe import Condition, Mask, Parameter, Scalar
from hamerspace.space.choice import Choice
from hamerspace.space.compatibility import judge_backends, judge_techniques
from hamerspace.space.space import Space
from hamerspace.tasks.model import SourceInfo


def assemble_space(
    config: SpaceConfig,
    source: SourceInfo,
    host: Host,
    loss: str | None,
    only_backends: Sequence[str] | None = None,
    hardware: str = "cpu",
) -> Space:
    """Return the space that ``config`` means for one source model on one host.

    Args:
        config: The declaration.
        source: The inspected model; with ``host`` it decides what is masked.
        host: The target.
        loss: What recovery can learn with: see :meth:`Technique.capabilities`.
        only_backends: Restrict the search to these.
        hardware: ``cpu`` or ``gpu``, the kind of device that models run on.

    Raises:
        ConfigError: A parameter or value that nobody offers, or an empty space.
        BackendUnavailableError: An asked-for backend is unknown or not installed.
    """
    declared = dict(config.parameters)
    backends = _backends(config.name, declared, only_backends)
    names = tuple(backends)
    judged_backends = judge_backends(source, host, hardware, backends)
    judged_techniques = judge_techniques(source, loss, backends)
    offers = [
        Parameter("backend", names[0], "Runtime that builds and runs the model", choices=names),
        *judged_techniques.offers,
        *judged_backends.offers,
    ]
    masks = [*judged_techniques.masks, *judged_backends.masks]
    _refuse_unknown(config.name, declared, offers, names)
    choices = [_choice(config.name, p, declared.get(p.name), masks) for p in offers]
    return Space(config.name, _without_dead_ends(_in_order(config.name, choices)), masks)


def _backends(
    space: str, declared: Mapping[str, DeclaredParameter], only: Sequence[str] | None
) -> dict[str, BackendConfig]:
    values = declared["backend"].choices or ()
    names = [str(v) for v in values if only is None or v in only]
    for name in only or ():
        if name not in BACKENDS:
            raise BackendUnavailableError(
                f"--backends: unknown backend '{name}'{did_you_mean(name, BACKENDS)}"
            )
        config = BACKENDS.load(name)
        if config.missing():
            raise BackendUnavailableError(
                f"--backends: {name} needs {', '.join(config.missing())}, which is not installed; "
                f"{config.hint()}"
            )
        if name not in values:
            raise ConfigError(f"--backends: space '{space}' does not list backend '{name}'")
    for name in names:
        if name not in BACKENDS:
            raise BackendUnavailableError(
                f"space '{space}': parameters.backend: unknown backend '{name}'"
                f"{did_you_mean(name, BACKENDS)}"
            )
    return {name: BACKENDS.load(name) for name in names}


def _refuse_unknown(
    space: str,
    declared: Mapping[str, DeclaredParameter],
    offers: Iterable[Parameter],
    backends: Iterable[str],
) -> None:
    by_name = {p.name: p for p in offers}
    unused = {n for n in BACKENDS if n not in set(backends)}
    for name, declaration in declared.items():
        for condition in declaration.when:
            _refuse_unmeetable(space, name, condition, by_name, unused)
        if name.split(".")[0] in unused:
            continue
        if name not in by_name:
            raise ConfigError(
                f"space '{space}': unknown parameter '{name}'{did_you_mean(name, by_name)}"
            )
        offer = by_name[name]
        ends = (v for v in (declaration.low, declaration.high) if v is not None)
        for value in (*ends, *(_listed(declaration, offer) or ())):
            if name != "backend" and not offer.accepts(value):
                raise ConfigError(
                    f"space '{space}': {name} cannot be {value!r}; it can be: {_legal(offer)}"
                )


def _refuse_unmeetable(
    space: str,
    name: str,
    condition: Condition,
    by_name: Mapping[str, Parameter],
    unused: Collection[str],
) -> None:
    """Refuse a condition that can never hold, which would silence its parameter."""
    if condition.parameter.split(".")[0] in unused:
        return
    if condition.parameter not in by_name:
        raise ConfigError(
            f"space '{space}': {name} depends on an unknown parameter '{condition.parameter}'"
            f"{did_you_mean(condition.parameter, by_name)}"
        )
    above = by_name[condition.parameter]
    for value in condition.values:
        known = value in unused if above.name == "backend" else False
        if not known and not above.accepts(value):
            raise ConfigError(
                f"space '{space}': {name} depends on {above.name} being {value!r}, which it "
                f"cannot be; it can be: {_legal(above)}"
            )


def _legal(offer: Parameter) -> str:
    kind = "whole numbers " if isinstance(offer.default, int) else ""
    return ", ".join(map(str, offer.choices)) or f"{kind}{offer.low:g} to {offer.high:g}"


def _choice(
    space: str, offer: Parameter, declaration: DeclaredParameter | None, masks: Iterable[Mask]
) -> Choice:
    if declaration is None:
        default = (offer.default,)
        left = _unmasked(offer, default, masks) or _unmasked(offer, offer.choices, masks)
        return Choice(offer, left[:1] or default, when=offer.when, declared=False)
    when = (*offer.when, *(c for c in declaration.when if c not in offer.when))
    listed = _listed(declaration, offer)
    if listed is None:
        low, high = declaration.ends
        # Only a mask that tells what is left takes anything from a continuous range.
        listed = next((m.excluded for m in masks if m.parameter == offer.name and m.excluded), None)
        if listed is None:
            return Choice(offer, (), low, high, declaration.log, when)
        inside = [v for v in listed if not isinstance(v, str | bool) and low <= v <= high]
        return Choice(offer, _left(offer, inside, masks), when=when)
    typed = [float(v) if isinstance(offer.default, float) else v for v in listed]
    values = [value for value in typed if value in offer.choices or not offer.choices]
    if not values and offer.name != "backend":
        raise ConfigError(f"space '{space}': {offer.name} has no values")
    return Choice(offer, _left(offer, values, masks), when=when)


def _left(offer: Parameter, values: Iterable[Scalar], masks: Iterable[Mask]) -> tuple[Scalar, ...]:
    """The values that are not masked; where the default is all that makes sense, the default.

    What depends on another must keep a value, or that other would be taken out with it.
    """
    left = _unmasked(offer, values, masks)
    forced = any(m.parameter == offer.name and m.excluded == (offer.default,) for m in masks)
    return left or ((offer.default,) if forced and offer.when else ())


def _unmasked(
    offer: Parameter, values: Iterable[Scalar], masks: Iterable[Mask]
) -> tuple[Scalar, ...]:
    mine = [m for m in masks if m.parameter == offer.name]
    return tuple(v for v in values if not any(m.covers(v) for m in mine))


def _listed(declaration: DeclaredParameter, offer: Parameter) -> tuple[Scalar, ...] | None:
    """The values of a declaration; ``None`` where they form a continuous range."""
    if declaration.choices is not None:
        return declaration.choices
    low, high = declaration.ends
    if declaration.log:
        whole = declaration.integer and isinstance(offer.default, int)
        return _doubled(int(low), int(high)) if whole else None
    step = declaration.step or (1 if declaration.integer else None)
    if step is None:
        return None
    count = int((high - low) / step + 1e-9) + 1
    if declaration.integer:
        return tuple(int(low + index * step) for index in range(count))
    return tuple(round(low + index * step, 12) for index in range(count))


def _doubled(low: int, high: int) -> tuple[int, ...]:
    """``low``, its doubles below ``high``, and ``high``: whole numbers on a logarithmic scale."""
    values = []
    while low < high:
        values.append(low)
        low *= 2
    return (*values, high)


def _in_order(space: str, choices: Sequence[Choice]) -> list[Choice]:
    """Sort so that conditions look back, keeping the given order where they allow it."""
    ordered: list[Choice] = []
    waiting = list(choices)
    while waiting:
        left = {c.name for c in waiting}
        free = (c for c in waiting if not any(left & {*w.parameters} for w in c.when))
        ready = next(free, None)
        if ready is None:
            circle = ", ".join(c.name for c in waiting)
            raise ConfigError(f"space '{space}': the conditions of {circle} form a circle")
        ordered.append(ready)
        waiting.remove(ready)
    return ordered


def _without_dead_ends(choices: Sequence[Choice]) -> list[Choice]:
    """Take out values that would activate a parameter of which nothing is left."""
    by_name = {c.name: c for c in choices}
    changed = True
    while changed:
        changed = False
        for choice in list(by_name.values()):
            if not choice.empty or not choice.when:
                continue
            condition = choice.when[-1]
            for name in condition.parameters:
                if name not in by_name:
                    continue  # of a backend that is not searched, so it never holds
                above = by_name[name]
                left = tuple(v for v in above.values if not condition.holds({name: v}))
                if left != above.values:
                    by_name[name] = replace(above, values=left)
                    changed = True
    return [by_name[c.name] for c in choices]
