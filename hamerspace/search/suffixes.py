"""Which runtimes and techniques make model files of a suffix, and whether a study can reach one."""

from collections.abc import Iterator

from hamerspace.backends import BACKENDS
from hamerspace.build.store import Store, default_store_folder
from hamerspace.compress import TECHNIQUES
from hamerspace.config.study import LoadedStudy
from hamerspace.errors import ConfigError
from hamerspace.search.prepared import Prepared
from hamerspace.space.choice import Choice
from hamerspace.space.space import Space


def technique_formats() -> dict[str, str]:
    """Suffix to the format of models that no backend builds, but techniques leave to be converted.

    Such a file says what a candidate does only where its backend keeps floating point.
    """
    return {t.model_suffix: t.made_format for t in TECHNIQUES.values() if t.model_suffix}


def backends_for(suffix: str) -> tuple[str, ...]:
    """Names of the backends that build model files of a suffix, such as ``.onnx``.

    All of them for a format that techniques leave: which backend comes after does not matter.

    Raises:
        ConfigError: Nothing makes such files; the message lists what there is.
    """
    if suffix in technique_formats():
        return tuple(BACKENDS)
    names = tuple(name for name, config in BACKENDS.items() if suffix in config.model_suffixes)
    if names:
        return names
    known = sorted({s for config in BACKENDS.values() for s in config.model_suffixes})
    raise ConfigError(
        f"--output: there are no models saved as '{suffix}' files here; there are "
        f"{', '.join([*known, *technique_formats()])}"
    )


def refuse_suffix(suffix: str | None, asked: tuple[str, ...] | None) -> None:
    """Refuse, before anything is read, a suffix that no backend of those asked for makes.

    Raises:
        ConfigError: There is none; or nothing makes such files at all.
    """
    if suffix is None:
        return
    able = backends_for(suffix)
    if asked is not None and not set(asked) & set(able):
        raise ConfigError(
            f"--output: none of {', '.join(asked)} builds {suffix} files; "
            f"{' and '.join(able)} {'does' if len(able) == 1 else 'do'}"
        )


def able_backends(
    loaded: LoadedStudy,
    suffix: str | None,
    asked: tuple[str, ...] | None = None,
    store: Store | None = None,
) -> tuple[str, ...] | None:
    """The backends that a study must search so that a file of a suffix comes of it.

    Reads the model and the data, as the search does; it then finds them in the store.

    Args:
        loaded: The study.
        suffix: Such as ``.onnx``; ``None`` where any will do.
        asked: The backends that the caller restricts the search to.
        store: Results of build stages; default: in the user's cache folder.

    Returns:
        Those that build such files, that the space lists, and that are installed and take the
        model; ``asked`` where such a file comes from a technique, whatever the backend, and where
        any will do.

    Raises:
        ConfigError: No such file can come of the study; the message says why.
    """
    refuse_suffix(suffix, asked)
    if suffix is None:
        return asked
    with Prepared(loaded, store or Store(default_store_folder()), asked) as prepared:
        space = prepared.space
    if suffix in technique_formats():
        _refuse_without_technique(space, suffix)
        return asked
    able = backends_for(suffix)
    left = tuple(name for name in able if name in space.backends)
    if not left:
        raise _unreachable(suffix, (_why_not(space, name, asked) for name in able))
    return left


def _why_not(space: Space, backend: str, asked: tuple[str, ...] | None) -> str:
    if asked is not None and backend not in asked:
        return f"--backends leaves {backend} out"
    masks = (m for m in space.masks if m.parameter == "backend" and m.covers(backend))
    mask = next(masks, None)
    return mask.reason if mask else f"space '{space.name}' does not list backend '{backend}'"


def _refuse_without_technique(space: Space, suffix: str) -> None:
    """Refuse a format of which no technique can leave a changed model in floating point."""
    made = technique_formats()[suffix]
    names = {t.switch for t in TECHNIQUES.values() if t.made_format == made}
    switches = [choice for choice in space.choices if choice.name in names]
    if not any(_works(space, switch) for switch in switches):
        raise _unreachable(suffix, (_why_idle(space, switch) for switch in switches))


def _works(space: Space, switch: Choice) -> bool:
    """Whether some recipe switches it on, with a backend that then keeps floating point."""
    return any(value != switch.parameter.default for value in switch.listed) and any(
        _keeps_floating_point(space, backend)
        for backend in space.backends
        if all(c.holds({"backend": backend}) for c in switch.when if c.parameters == ("backend",))
    )


def _keeps_floating_point(space: Space, backend: str) -> bool:
    config = BACKENDS.load(backend)
    choices = (c for c in space.choices if c.name == config.quantization_name)
    return all(config.unquantized in choice.values for choice in choices)


def _why_idle(space: Space, switch: Choice) -> str:
    reasons = [mask.reason for mask in space.masks if mask.parameter == switch.name]
    if reasons:
        return reasons[0]
    if switch.listed == (switch.parameter.default,):
        return f"space '{space.name}' leaves {switch.name} at {switch.parameter.default}"
    return f"{', '.join(space.backends)} cannot take what {switch.name} leaves, or only quantized"


def _unreachable(suffix: str, reasons: Iterator[str]) -> ConfigError:
    return ConfigError(
        f"--output: no {suffix} file can come of this search: "
        f"{'; '.join(dict.fromkeys(reasons))}; name another suffix, or widen the search"
    )
