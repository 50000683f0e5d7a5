"""Spaces in words, for people."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from hamerspace.backends import BACKENDS, BackendConfig
from hamerspace.compress import TECHNIQUES
from hamerspace.config.space import DeclaredParameter
from hamerspace.recipe import Condition, Mask, Parameter, Recipe
from hamerspace.tasks.model import SourceInfo


def offered_parameters() -> dict[str, Parameter]:
    """Every parameter that a technique or a backend offers, by name."""
    offers: list[Parameter] = []
    for technique in TECHNIQUES.values():
        offers += technique.parameters()
    names = tuple(BACKENDS)
    offers.append(
        Parameter("backend", names[0], "Runtime that builds and runs the model", choices=names)
    )
    for name, config in BACKENDS.items():
        here = Condition("backend", (name,))
        offers += [replace(p, when=(here, *p.when)) for p in config.parameters()]
    return {offer.name: offer for offer in offers}


_offers = cache(offered_parameters)


def stored_precisions(source: SourceInfo) -> dict[str, str]:
    """The precision of what is built without quantization, by backend, where it is not ``fp32``.

    That of the source model, where the backend takes it without a conversion, which makes float32
    of it, and does not do so itself.
    """
    if source.precision == "fp32":
        return {}
    return {
        name: source.precision
        for name, config in BACKENDS.items()
        if config.keeps_precision and source.format in config.model_formats
    }


def recipe_label(recipe: Recipe, stored: Mapping[str, str] | None = None) -> str:
    """A short name for people, such as ``openvino int8 performance, prune 0.3, distill``.

    The backend, its quantization or the precision of the weights without one, then what differs
    from the defaults.

    Args:
        recipe: What is named.
        stored: What :func:`stored_precisions` says of the source model; default: ``fp32``.
    """
    # A run that was made elsewhere may name a backend that is not here.
    config = BACKENDS.load(recipe.backend) if recipe.backend in BACKENDS else BackendConfig
    own = f"{recipe.backend}."
    quantization = recipe.get(own + config.quantization, config.unquantized)
    plain = (stored or {}).get(recipe.backend, "fp32")
    words = [recipe.backend, plain if quantization == config.unquantized else str(quantization)]
    others: list[str] = []
    for name, value in recipe.parameters.items():
        offer = _offers().get(name)
        if name in ("backend", own + config.quantization) or (offer and offer.default == value):
            continue
        word = offer.word if offer else name
        spoken = isinstance(value, str) and not (offer and offer.short)
        text = str(value) if spoken else f"{word} {value}"
        (words if name.startswith(own) else others).append(word if value is True else text)
    return ", ".join([" ".join(words), *others])


def declared_text(declaration: DeclaredParameter) -> str:
    """The values of a declaration as a line of text."""
    if declaration.choices is not None:
        return ", ".join(
            str(v).lower() if isinstance(v, bool) else str(v) for v in declaration.choices
        )
    step = f" by {declaration.step:g}" if declaration.step else ""
    scale = " (log)" if declaration.log else ""
    return f"{declaration.low:g} to {declaration.high:g}{step}{scale}"


def mask_text(mask: Mask) -> str:
    """What is left out and why: ``backend litert: LiteRT is not installed (pip install ...)``."""
    if mask.excluded:
        values = f"other than {', '.join(map(str, mask.excluded))}"
    else:
        values = ", ".join(map(str, mask.values))
    return f"{mask.parameter} {values}: {mask.reason}"
