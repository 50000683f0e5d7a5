"""Read what the user brought: an ``.npz`` file, or a function that returns arrays."""

import lzma
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hamerspace.config.study import DataSection
from hamerspace.errors import DataError, did_you_mean
from hamerspace.tasks.data.splits import SPLITS, Array, native
from hamerspace.tasks.user_code import load_function

RawData = dict[str, dict[str, Array]]
"""Split name to array name to array; the one split ``all`` where the user made none."""

ALL = "all"
_DAMAGED = (
    *(OSError, ValueError, TypeError, KeyError, SyntaxError, EOFError, OverflowError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    RuntimeError,  # encrypted, or packed by a method that Python lacks
)
_OTHER_NAMES = {
    "training": "train",
    "calib": "calibration",
    "val": "search",
    "valid": "search",
    "validation": "search",
    "eval": "search",
    "test": "confirm",
}


def read_data(section: DataSection, root: Path) -> RawData:
    """Read the arrays that a study's ``task.data`` names.

    Args:
        section: Names an ``.npz`` file with keys ``split/name`` or plain names, or a function
            that returns ``{split: {name: array}}`` or ``{name: array}``.
        root: Folder that relative paths and modules start from.

    Raises:
        DataError: They cannot be read, or are not named arrays.
        ConfigError: The function is not there.
    """
    if section.path is not None:
        raw = read_npz(root / os.path.expanduser(section.path))  # noqa: PTH111 - never raises
    else:
        assert section.load is not None
        raw = _call(section.load, root)
    odd = [
        f"array '{name}': dtype {array.dtype} is not numeric; give numbers (tokenize text, encode "
        "categories, pad rows of different lengths)"
        for arrays in raw.values()
        for name, array in arrays.items()
        if array.dtype.kind not in "biuf"
        and not (name == section.labels and array.dtype.kind in "US")  # told with what to do
    ]
    if odd:
        raise DataError("\n".join(dict.fromkeys(odd)))
    return raw


def read_npz(path: Path) -> RawData:
    """Read an ``.npz`` file; pickled objects in it are refused.

    Raises:
        DataError: The message names the file, and the array where one is wrong.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file")
    try:
        if not path.is_file():
            raise ValueError("a folder, or a device that may never end")
        archive = np.load(path, allow_pickle=False)
    except _DAMAGED as error:
        raise DataError(
            f"{path}: not an .npz file of arrays; write one with numpy.savez(path, image=..., "
            "labels=...)"
        ) from error
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise DataError(
            f"{path}: holds one array without a name; write an .npz file with "
            "numpy.savez(path, name=array)"
        )
    arrays = {}
    with archive:
        for name in archive.files:
            try:
                arrays[name] = archive[name]
            except _DAMAGED as error:
                raise DataError(f"{path}: array '{name}' cannot be read: {error}") from error
            if not isinstance(arrays[name], np.ndarray):
                raise DataError(
                    f"{path}: '{name}' in it is no array; write the file with numpy.savez"
                )
            arrays[name] = native(arrays[name])
    return _by_split(arrays, str(path))


def _call(reference: str, root: Path) -> RawData:
    function = load_function(reference, root, "task.data.load")
    try:
        value = function()
    except (Exception, SystemExit) as error:
        raise DataError(f"task.data.load: '{reference}' raised {error!r}") from error
    wanted = "it must return {name: array} or {split: {name: array}}"
    if not isinstance(value, Mapping) or not value:
        raise DataError(f"task.data.load: '{reference}' returned {_kind(value)}; {wanted}")
    nested = [isinstance(v, Mapping) for v in value.values()]
    if any(nested) and not all(nested):
        raise DataError(f"task.data.load: '{reference}' mixed arrays and splits; {wanted}")
    if not all(nested):
        return _by_split(_arrays(value, reference), reference)
    for split in value:
        _check_split(str(split), reference)
    return {str(split): _arrays(arrays, reference) for split, arrays in value.items()}


def _arrays(value: Mapping[Any, Any], reference: str) -> dict[str, Array]:
    arrays = {}
    for name, array in value.items():
        # Tensors of other frameworks know __array__; a list would be guessed at, so it is refused.
        if not isinstance(array, np.ndarray) and not hasattr(array, "__array__"):
            raise DataError(
                f"task.data.load: '{reference}' returned {_kind(array)} as '{name}'; "
                "return a numpy array"
            )
        try:
            arrays[str(name)] = native(np.asarray(array))
        except Exception as error:
            raise DataError(
                f"task.data.load: '{reference}' returned '{name}', which cannot become a numpy "
                f"array: {error}"
            ) from error
    return arrays


def _by_split(arrays: dict[str, Array], where: str) -> RawData:
    """Tell ``split/name`` keys from plain names, which may hold a '/' of their own."""
    if not arrays:
        raise DataError(f"{where}: holds no arrays")
    prefixes = {name: name.partition("/")[0] if "/" in name else "" for name in arrays}
    if not any(prefix in SPLITS or prefix in _OTHER_NAMES for prefix in prefixes.values()):
        return {ALL: arrays}
    splits: RawData = {}
    for name, array in arrays.items():
        if not prefixes[name]:
            raise DataError(
                f"{where}: array '{name}' belongs to no split while others do; name it "
                f"'search/{name}', or take the splits off the other names"
            )
        _check_split(prefixes[name], where)
        splits.setdefault(prefixes[name], {})[name.partition("/")[2]] = array
    return splits


def _check_split(split: str, where: str) -> None:
    if split in SPLITS:
        return
    other = _OTHER_NAMES.get(split.lower())
    hint = f"; did you mean '{other}'?" if other else did_you_mean(split, SPLITS)
    raise DataError(f"{where}: unknown split '{split}'{hint}; the splits are {', '.join(SPLITS)}")


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return "an empty mapping" if not value else "a mapping"
    return f"a value of type {type(value).__name__}"
