"""Import ``module:function`` references of users, relative to the folder of their study."""

import hashlib
import importlib
import importlib.util
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hamerspace.errors import ConfigError, did_you_mean

SESSION = "hamerspace_session"
"""Stands for the module of functions that a Python session gave; no other process has them."""


def load_reference(reference: str, root: Path, key: str) -> Any:
    """Return the object that ``module:attribute`` names.

    A file ``module.py`` in ``root`` comes first, under a name of its own, so that the ``task.py``
    of two studies never meet in one process; otherwise an installed module is taken.

    Args:
        reference: Such as ``task:build_model``.
        root: Folder of the study file; it joins ``sys.path`` for the module's own imports.
        key: Where the reference stands, for error messages.

    Raises:
        ConfigError: The module or the attribute is not there, or the import raised.
    """
    module_name, separator, attribute = reference.partition(":")
    if not separator or not module_name or not attribute:
        raise ConfigError(f"{key}: '{reference}' is not of the form module:function")
    try:
        module = _import(module_name, root)
    except (Exception, SystemExit) as error:
        told = f"importing '{module_name}' raised {error!r}"
        if isinstance(error, ModuleNotFoundError) and error.name == module_name:
            told = f"no module '{module_name}' in {root} or among the installed packages"
            if module_name == SESSION:
                told = (
                    f"'{attribute}' was given as a function by a Python session that is gone; "
                    "give it again, from Python"
                )
        raise ConfigError(f"{key}: {told}") from error
    try:
        return getattr(module, attribute)
    except AttributeError as error:
        names = [n for n in vars(module) if not n.startswith("_")]
        hint = did_you_mean(attribute, names)
        raise ConfigError(f"{key}: '{module_name}' has no '{attribute}'{hint}") from error


def load_function(reference: str, root: Path, key: str) -> Callable[..., Any]:
    """Return the function that a reference names; see :func:`load_reference`.

    Raises:
        ConfigError: It is no function, too.
    """
    function = load_reference(reference, root, key)
    if not callable(function):
        raise ConfigError(f"{key}: '{reference}' is not a function")
    return function  # type: ignore[no-any-return]


def call_function(reference: str, root: Path, key: str, *arguments: Any) -> Any:
    """Call a user's function, which is imported only now, as importing alone may do anything."""
    return load_function(reference, root, key)(*arguments)


@contextmanager
def noted_warnings(root: Path) -> Iterator[list[str]]:
    """Collect what a study's own files warn of, such as that their data are a stand-in.

    Warnings that come from elsewhere, such as the packages that they call, pass as they would.

    Args:
        root: Folder of the study file.
    """
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield notes
    for warning in caught:
        if Path(warning.filename).absolute().parent == root:
            notes.append(str(warning.message))
        else:
            warnings.warn_explicit(
                warning.message, warning.category, warning.filename, warning.lineno
            )


def reference_file(reference: str, root: Path) -> Path | None:
    """The file in ``root`` that holds a reference's module, if it is one."""
    path = root / (reference.partition(":")[0].replace(".", "/") + ".py")
    return path if path.is_file() else None


def _import(name: str, root: Path) -> Any:
    path = reference_file(name, root)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    if path is None:
        return importlib.import_module(name)
    unique = f"_hamerspace_user_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}_{path.stem}"
    if unique in sys.modules:
        return sys.modules[unique]
    spec = importlib.util.spec_from_file_location(unique, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[unique]
        raise
    return module
