"""What the build worker imports once, so that not every job does."""

from hamerspace.backends import BACKENDS
from hamerspace.compress import TECHNIQUES
from hamerspace.tasks.convert import BUILD_MODULES

READING = ("numpy", "hamerspace.build.jobs", "torch", "onnx", "onnxruntime")
"""For inspecting a source model."""


def building() -> tuple[str, ...]:
    """For every stage that a recipe may have, in the order of the registries."""
    modules = list(BUILD_MODULES)
    for technique in TECHNIQUES:
        modules += TECHNIQUES.load(technique).modules
    for backend in BACKENDS:
        config = BACKENDS.load(backend)
        if not config.missing():
            modules += [*config.modules, *config.build_modules]
    return tuple(dict.fromkeys(modules))
