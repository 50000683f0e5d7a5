"""Which techniques and backends can take which model, and which of them go together."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from hamerspace.backends.base import FLOAT_LAYERS, BackendConfig, Host
from hamerspace.compress import TECHNIQUES, Technique
from hamerspace.recipe import Condition, Mask, Parameter
from hamerspace.tasks.conversions.routes import NoRoute, find_route
from hamerspace.tasks.model import SourceInfo


@dataclass(frozen=True)
class Judged:
    """What is offered by the techniques or the backends, and what of it cannot work."""

    offers: tuple[Parameter, ...]
    masks: tuple[Mask, ...]


def judge_techniques(
    source: SourceInfo, loss: str | None, backends: Mapping[str, BackendConfig]
) -> Judged:
    """The parameters of all techniques, active only with backends that take what they make."""
    offers: list[Parameter] = []
    masks: list[Mask] = []
    for technique in TECHNIQUES.values():
        own = technique.parameters()
        names = {p.name for p in own}
        # What depends on none of the others switches the technique on; its default does nothing.
        switches = {p.name for p in own if not any(names & {*c.parameters} for c in p.when)}
        own = tuple(replace(p, optional=True) if p.name in switches else p for p in own)
        refusal = _refusal(technique, source)
        if refusal is None:
            masks += technique.capabilities(source, loss)
            clash = _clash(technique, source, backends)
            # Inert with some backends; what depends on another parameter is so by itself.
            without = Condition("backend", excluded=clash)
            offers += [p if p.when or not clash else _with(p, without) for p in own]
        else:
            offers += own
            masks += [Mask(p.name, (), refusal, (p.default,)) for p in own if p.name in switches]
    return Judged(tuple(offers), tuple(masks))


def judge_backends(
    source: SourceInfo, host: Host, hardware: str, backends: Mapping[str, BackendConfig]
) -> Judged:
    """The parameters of all backends; one that cannot take the model is masked as a whole."""
    offers: list[Parameter] = []
    masks: list[Mask] = []
    for name, config in backends.items():
        here = Condition("backend", (name,))
        offers += [_with(p, here) for p in config.parameters()]
        refusal = _backend_refusal(config, source, hardware)
        if refusal is None:
            masks += config.capabilities(source, host)
            masks += _beyond_the_layers(config, source)
        else:
            masks.append(Mask("backend", (name,), refusal))
    return Judged(tuple(offers), tuple(masks))


def _beyond_the_layers(config: BackendConfig, source: SourceInfo) -> list[Mask]:
    """Numbers of layers to keep in higher precision that leave none, as far as weights tell.

    Attention multiplies activations too: with two weights go up to six products.
    """
    if not source.matrices:
        return []
    a_weight = max(3 if "attention" in source.op_families else 1, config.layers_a_weight)
    count = source.matrices * a_weight
    return [
        Mask(p.name, (), f"the model has no more than {count} layers", tuple(range(count)))
        for p in config.parameters()
        if p.name == f"{config.name}.{FLOAT_LAYERS}" and p.high is not None and p.high >= count
    ]


def _backend_refusal(config: BackendConfig, source: SourceInfo, hardware: str) -> str | None:
    if config.missing():
        return f"{config.title} is not installed ({config.hint()})"
    if hardware not in config.hardware:
        return f"{config.title} does not run on the {hardware} here"
    route = find_route(source.format, config.model_formats, source)
    return f"{config.title}: {route.reason}" if isinstance(route, NoRoute) else None


def _refusal(technique: Technique, source: SourceInfo) -> str | None:
    """Why a technique cannot be had for this model at all, as far as its format tells."""
    if missing := technique.missing():
        return f"{technique.name} needs {', '.join(missing)} ({technique.hint()})"
    route = find_route(source.format, technique.formats, source)
    return f"{technique.name}: {route.reason}" if isinstance(route, NoRoute) else None


def _clash(
    technique: Technique, source: SourceInfo, backends: Mapping[str, BackendConfig]
) -> tuple[str, ...]:
    """Names of the backends that can take the source, but not what the technique makes of it."""
    made = technique.result_format
    if made is None:
        route = find_route(source.format, technique.formats, source)
        assert not isinstance(route, NoRoute)
        made = route.steps[-1].target if route.steps else source.format
    return tuple(
        name
        for name, config in backends.items()
        if isinstance(find_route(made, config.model_formats, source), NoRoute)
    )


def _with(parameter: Parameter, condition: Condition) -> Parameter:
    return replace(parameter, when=(condition, *parameter.when))
