"""The legal combinations of a backend's parameters, and a few that stand for them."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations as combinations_of

from hamerspace.backends.base import FLOAT_LAYERS, BackendConfig
from hamerspace.recipe import Mask, Parameter, Scalar


def enumerate_parameters(
    config: BackendConfig, masks: Iterable[Mask] = (), *, runtime: bool = True
) -> list[dict[str, Scalar]]:
    """Return every combination of values that conditions allow and no mask forbids.

    Inert parameters are absent, as in a recipe. A number without choices takes its lowest value,
    its default and its highest; ``float_layers`` stays at its default. The first combination is
    that of all defaults, if nothing masks it.

    Args:
        config: Offers the parameters.
        masks: What :meth:`BackendConfig.capabilities` returned.
        runtime: Whether to tell combinations apart that differ in runtime parameters only.

    Returns:
        Full names (``onnxruntime.quantization``) to values; ``backend`` is among them.
    """
    forbidden = [(m.parameter, v) for m in masks for v in m.values]
    combinations: list[dict[str, Scalar]] = [{"backend": config.name}]
    if ("backend", config.name) in forbidden:
        return []
    for parameter in config.parameters():
        if parameter.runtime and not runtime:
            continue
        values = [v for v in _values(parameter) if not _among(parameter.name, v, forbidden)]
        combinations = [
            extended
            for chosen in combinations
            for extended in (
                [{**chosen, parameter.name: value} for value in values]
                if parameter.active(chosen)
                else [chosen]
            )
        ]
    return combinations


def of_each_pair(combinations: Sequence[Mapping[str, Scalar]]) -> list[dict[str, Scalar]]:
    """Return a few of the combinations, with every pair of values that one of them holds.

    Most faults hang on one value or on two together (Kuhn, Wallace and Gallo, "Software fault
    interactions and implications for software testing", 2004). The first is always among them.
    """
    pairs = [set(combinations_of(chosen.items(), 2)) for chosen in combinations]
    missing = set().union(*pairs)
    found = [0] if pairs else []
    while missing := missing - pairs[found[-1]] if found else set():
        found.append(max(range(len(pairs)), key=lambda index: len(pairs[index] & missing)))
    return [dict(combinations[index]) for index in found]


def illegal_parameters(config: BackendConfig, combination: Mapping[str, Scalar]) -> list[str]:
    """Say what is wrong with a combination; missing parameters take their defaults."""
    known = {p.name for p in config.parameters()} | {"backend"}
    problems = [f"unknown parameter '{name}'" for name in combination if name not in known]
    if combination.get("backend", config.name) != config.name:
        problems.append(f"backend is '{combination['backend']}', not '{config.name}'")
    chosen: dict[str, Scalar] = {"backend": config.name}
    for parameter in config.parameters():
        given = parameter.name in combination
        value = combination.get(parameter.name, parameter.default)
        if not parameter.active(chosen):
            if given:
                problems.append(f"{parameter.name} is not active")
            continue
        if not parameter.accepts(value):
            problems.append(f"{parameter.name} cannot be {value!r}")
        chosen[parameter.name] = value
    return problems


def _values(parameter: Parameter) -> list[Scalar]:
    if parameter.name.endswith(f".{FLOAT_LAYERS}"):
        return [parameter.default]  # without the names of layers other numbers mean nothing
    if parameter.choices:
        rest = [c for c in parameter.choices if c != parameter.default]
        return [parameter.default, *rest]
    kind = type(parameter.default)
    bounds = [kind(b) for b in (parameter.low, parameter.high) if b is not None]
    return list(dict.fromkeys([parameter.default, *bounds]))


def _among(name: str, value: Scalar, forbidden: list[tuple[str, Scalar]]) -> bool:
    return any(name == n and value == v and type(value) is type(v) for n, v in forbidden)
