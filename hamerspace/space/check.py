"""Whether a given recipe can be built from a model, on a host, and what is wrong where it cannot.

A search only meets recipes of its space. A recipe that comes from elsewhere, by file, is held
against everything that techniques and backends offer.
"""

from collections.abc import Iterable, Iterator, Mapping

from hamerspace.backends import BACKENDS
from hamerspace.backends.base import FLOAT_LAYERS, BackendConfig, Host
from hamerspace.errors import BackendUnavailableError, ConfigError, did_you_mean
from hamerspace.recipe import Mask, Parameter, Recipe, Scalar
from hamerspace.space.compatibility import judge_backends, judge_techniques
from hamerspace.tasks.model import SourceInfo


def check_recipe(
    recipe: Recipe, source: SourceInfo, host: Host, loss: str | None, hardware: str = "cpu"
) -> Recipe:
    """Return ``recipe`` with the defaults of what it leaves out, if it can be built.

    Args:
        recipe: Of any origin; active parameters may be missing.
        source: The inspected model.
        host: The target.
        loss: What training can learn with; ``None`` without a train split.
        hardware: ``cpu`` or ``gpu``.

    Raises:
        BackendUnavailableError: There is no such backend, or it is not installed.
        ConfigError: With a line for each parameter that is unknown, masked, inert, or has a value
            that it cannot have.
    """
    config = _backend(recipe)
    backends = {config.name: config}
    techniques = judge_techniques(source, loss, backends)
    own = judge_backends(source, host, hardware, backends)
    offers = {p.name: p for p in (*techniques.offers, *own.offers)}
    masks = (*techniques.masks, *own.masks)
    refused = [mask.reason for mask in masks if mask.parameter == "backend"]
    problems = [f"backend {config.name}: {reason}" for reason in refused]
    given = {n: _typed(offers.get(n), v) for n, v in recipe.parameters.items() if n != "backend"}
    complete = {"backend": config.name, **_with_defaults(config.name, given, offers, masks)}
    for name, value in given.items():
        problems += _problems(name, value, complete, offers, masks, config)
    if problems:
        raise ConfigError("this recipe cannot be built here:\n  " + "\n  ".join(problems))
    idle = {p.name: p.default for p in offers.values() if p.optional}
    return Recipe({n: v for n, v in complete.items() if n not in idle or v != idle[n]})


def calibrated_by(recipe: Recipe) -> tuple[str, ...]:
    """The parameters of a recipe, as ``name value``, that look at calibration data."""
    config = BACKENDS.load(recipe.backend)
    own, _ = config.split(recipe.parameters)
    found = [parameter.name for parameter in config.calibrated(own)]
    if config.sensitivity_parameters(own) is not None:
        found.append(f"{config.name}.{FLOAT_LAYERS}")
    return tuple(f"{name} {recipe[name]}" for name in found)


def _backend(recipe: Recipe) -> BackendConfig:
    name = recipe.backend
    if name not in BACKENDS:
        raise BackendUnavailableError(
            f"the recipe names an unknown backend '{name}'{did_you_mean(name, BACKENDS)}"
        )
    config = BACKENDS.load(name)
    if config.missing():
        raise BackendUnavailableError(
            f"the recipe runs on {config.title}, which is not installed; {config.hint()}"
        )
    return config


def _typed(offer: Parameter | None, value: Scalar) -> Scalar:
    """A whole number where fractions are legal is one: JSON does not tell them apart."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if whole and offer and isinstance(offer.default, float) else value


def _with_defaults(
    backend: str,
    given: Mapping[str, Scalar],
    offers: Mapping[str, Parameter],
    masks: Iterable[Mask],
) -> dict[str, Scalar]:
    """What is given, and for each other parameter that is active its default, or what is left."""
    chosen, masks, before = dict(given), tuple(masks), -1
    while len(chosen) > before:
        before = len(chosen)
        for name, offer in offers.items():
            if name not in chosen and offer.active({"backend": backend, **chosen}):
                chosen[name] = _default(offer, masks)
    return chosen


def _default(offer: Parameter, masks: Iterable[Mask]) -> Scalar:
    mine = [mask for mask in masks if mask.parameter == offer.name]
    values = (offer.default, *offer.choices)
    return next((v for v in values if not any(m.covers(v) for m in mine)), offer.default)


def _problems(
    name: str,
    value: Scalar,
    complete: Mapping[str, Scalar],
    offers: Mapping[str, Parameter],
    masks: Iterable[Mask],
    config: BackendConfig,
) -> Iterator[str]:
    offer = offers.get(name)
    if offer is None:
        yield f"{name}: {_unknown(name, offers, config)}"
        return
    if not offer.accepts(value):
        yield f"{name}: cannot be {value!r}; it can be {_legal(offer)}"
        return
    reasons = [mask.reason for mask in masks if mask.parameter == name and mask.covers(value)]
    yield from (f"{name} {value}: {reason}" for reason in reasons)
    unmet = [str(condition) for condition in offer.when if not condition.holds(complete)]
    idle = offer.optional and value == offer.default
    if unmet and not reasons and not idle:
        yield f"{name} {value}: does nothing here; it is active only where {' and '.join(unmet)}"


def _unknown(name: str, offers: Mapping[str, Parameter], config: BackendConfig) -> str:
    owner = name.partition(".")[0]
    if owner in BACKENDS and owner != config.name:
        return f"belongs to the backend '{owner}', and the recipe's is '{config.name}'"
    return f"unknown parameter{did_you_mean(name, offers)}"


def _legal(offer: Parameter) -> str:
    kind = "a whole number" if isinstance(offer.default, int) else "a number"
    return ", ".join(map(str, offer.choices)) or f"{kind} from {offer.low:g} to {offer.high:g}"
