"""The study that the first argument of several commands means: a study file, or a model."""

from typing import TYPE_CHECKING, Any

from hamerspace.cli import options

if TYPE_CHECKING:
    from hamerspace.study import Study


def study_of(
    target: str,
    *,
    inputs: list[str] | None,
    trust_pickle: bool,
    backends: tuple[str, ...] | None = None,
    out: Any = None,
    storage: str | None = None,
    **flags: Any,
) -> "Study":
    """The study of a file, with flags over it, or one made of a model and flags.

    Raises:
        ConfigError: The file or a flag is wrong.
    """
    from hamerspace.study import Study

    common: dict[str, Any] = {
        "out": out,
        "storage": storage,
        "backends": backends,
        "trust_pickle": trust_pickle,
    }
    if options.is_study(target, input=inputs):
        return Study.from_yaml(target, **common, **flags)
    return Study.from_model(target, inputs=tuple(inputs or ()), **common, **flags)
