"""What the build worker imports once, so that not every job does."""

from collections.abc import Iterable, Sequence

from hamerspace.backends import BACKENDS
from hamerspace.compress import TECHNIQUES
from hamerspace.tasks.conversions.routes import NoRoute, find_route
from hamerspace.tasks.model import SourceInfo

READING = ("numpy", "hamerspace.build.inspection", "torch", "onnx", "onnxruntime")
"""For inspecting a source model."""


def building(source: SourceInfo, backends: Iterable[str]) -> tuple[str, ...]:
    """For every stage that a recipe for this model may have in our own environment.

    Args:
        source: The inspected model.
        backends: Those that the space holds.
    """
    modules = ["hamerspace.build.jobs"]
    for name in TECHNIQUES:
        technique = TECHNIQUES.load(name)
        on_the_way = _route_modules(source, technique.formats)
        if on_the_way is not None and not technique.missing():
            modules += [*on_the_way, *technique.modules]
    for name in backends:
        config = BACKENDS.load(name)
        if not config.missing() and config.environment is None:
            modules += _route_modules(source, config.model_formats) or ()
            modules += [*config.modules, *config.build_modules]
    return tuple(dict.fromkeys(modules))


def _route_modules(source: SourceInfo, formats: Sequence[str]) -> list[str] | None:
    route = find_route(source.format, formats, source)
    if isinstance(route, NoRoute):
        return None
    own = [step for step in route.steps if step.environment is None]
    return [module for step in own for module in (*step.modules, *step.build_modules)]
