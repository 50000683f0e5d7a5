"""What the build worker imports once, so that not every job does."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from hamerspace.backends import BACKENDS
from hamerspace.compress import TECHNIQUES
from hamerspace.tasks.conversions.routes import NoRoute, find_route
from hamerspace.tasks.model import SourceInfo

_READING = {
    "tensorflow": ("tensorflow",),
    "tflite": ("ai_edge_litert.interpreter",),
    "": ("torch", "onnx", "onnxruntime"),
}
"""For inspecting a source model, by what reads it: TensorFlow takes seconds to import."""


def reading(source: Path | None) -> tuple[str, ...]:
    """For inspecting a source model.

    Args:
        source: The model file or folder, or ``None`` where a builder makes the model.
    """
    kind = ""
    if source is not None and source.suffix == ".tflite":
        kind = "tflite"
    elif source is not None and (
        source.suffix in {".keras", ".h5", ".hdf5"} or (source / "saved_model.pb").is_file()
    ):
        kind = "tensorflow"
    return ("numpy", "hamerspace.build.inspection", *_READING[kind])


def building(
    source: SourceInfo, backends: Iterable[str], environment: str | None = None
) -> tuple[str, ...]:
    """For every stage that a recipe for this model may have in one environment.

    Args:
        source: The inspected model.
        backends: Those that the space holds.
        environment: Name of a tool environment; ``None`` for our own.
    """
    modules = ["hamerspace.build.jobs"]
    for technique in TECHNIQUES.values():
        on_the_way = _route_modules(source, technique.formats, environment)
        if on_the_way is not None and not technique.missing():
            modules += on_the_way
            modules += technique.modules if environment is None else ()
    for name in backends:
        config = BACKENDS.load(name)
        if not config.missing():
            modules += _route_modules(source, config.model_formats, environment) or ()
            if config.environment == environment:
                modules += [*config.modules, *config.build_modules]
    return tuple(dict.fromkeys(modules))


def _route_modules(
    source: SourceInfo, formats: Sequence[str], environment: str | None
) -> list[str] | None:
    """What the conversions on the way import there; ``None`` where there is no way."""
    route = find_route(source.format, formats, source)
    if isinstance(route, NoRoute):
        return None
    steps = [step for step in route.steps if step.environment == environment]
    return [module for step in steps for module in (*step.modules, *step.build_modules)]
