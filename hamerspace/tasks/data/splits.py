"""The splits of a task's data, as memory-mapped files in a folder."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hamerspace._files import write_text
from hamerspace._schema import from_plain
from hamerspace.errors import DataError

Array = npt.NDArray[Any]

SPLITS = ("train", "calibration", "search", "confirm")
MANIFEST = "splits.json"


@dataclass(frozen=True)
class Splits:
    """What ``prepare_data`` or ``random_data`` made; ``train`` is the one that may be absent.

    Attributes:
        folder: Holds the arrays and ``splits.json``.
        inputs: Names of the arrays that are inputs, in the order of the data.
        label: Name of the array of labels; ``None`` where there are none.
        rows: Split name to number of rows.
        fingerprints: Split name to the SHA-256 of names, dtypes, shapes and values.
        files: Split name to array name to file name within ``folder``.
        notes: What was done to the user's data, in sentences.
        batch_size: The deployment batch size that the data were prepared for.
        synthetic: Whether the inputs are random, because there were no data.
        constants: Input without rows to file name; it is part of the inputs of every split.
        warnings: What makes every figure worth little, such as that the data are a stand-in.
    """

    folder: Path
    inputs: tuple[str, ...]
    label: str | None
    rows: Mapping[str, int]
    fingerprints: Mapping[str, str]
    files: Mapping[str, Mapping[str, str]]
    notes: tuple[str, ...]
    batch_size: int
    synthetic: bool = False
    constants: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The splits that there are, in the order of :data:`SPLITS`."""
        return tuple(name for name in SPLITS if name in self.files)

    def fingerprint_of(self, split: str) -> str:
        """SHA-256 of one split's names, dtypes, shapes and values."""
        self._files_of(split)
        return self.fingerprints[split]

    def arrays(self, split: str) -> dict[str, Array]:
        """Every array of a split by name, labels included, memory-mapped and read-only.

        Raises:
            DataError: There is no such split, or a file is missing or broken.
        """
        return {name: self._open(split, name) for name in self._files_of(split)}

    def labels_of(self, split: str) -> Array | None:
        """The labels of a split, or ``None`` where it has none."""
        if self.label is None or self.label not in self._files_of(split):
            return None
        return self._open(split, self.label)

    def input_paths(self, split: str) -> dict[str, str]:
        """Input name to the path of its ``.npy`` file, in the order of the data."""
        files = {**self._files_of(split), **self.constants}
        return {name: str(self.folder / files[name]) for name in (*self.inputs, *self.constants)}

    def paths(self, split: str, labels_as: str) -> dict[str, str]:
        """The same, with the labels, where there are any, under the name ``labels_as``."""
        found = self.input_paths(split)
        if self.label is not None and self.label in self._files_of(split):
            found[labels_as] = str(self.folder / self.files[split][self.label])
        return found

    def with_constants(self, arrays: Mapping[str, Array]) -> "Splits":
        """The same with inputs that have no rows, which are written beside the splits."""
        if not arrays:
            return self
        digest, files = hashlib.sha256(), dict[str, str]()
        for i, name in enumerate(sorted(arrays)):
            files[name] = f"constant-{i}.npy"
            _write(self.folder / files[name], name, arrays[name], digest)
        fingerprints = {
            split: hashlib.sha256(f"{before} {digest.hexdigest()}".encode()).hexdigest()
            for split, before in self.fingerprints.items()
        }
        return replace(self, constants=files, fingerprints=fingerprints).save()

    def with_notes(self, notes: tuple[str, ...], warnings: tuple[str, ...] = ()) -> "Splits":
        """The same with further notes and warnings, which come first."""
        return replace(
            self, notes=(*notes, *self.notes), warnings=(*warnings, *self.warnings)
        ).save()

    def save(self) -> "Splits":
        """Write ``splits.json`` into the folder, whole or not at all, and return self."""
        value = asdict(self)
        del value["folder"]
        write_text(self.folder / MANIFEST, json.dumps(value, indent=1, sort_keys=True))
        return self

    @classmethod
    def load(cls, folder: Path) -> "Splits":
        """Read what :meth:`save` wrote.

        Raises:
            DataError: The folder holds no prepared data.
        """
        try:
            value = json.loads((folder / MANIFEST).read_text())
            return from_plain(cls, {**value, "folder": folder})
        except (OSError, ValueError, TypeError) as error:
            raise DataError(
                f"{folder}: holds no prepared data ({error}); delete it to prepare them again"
            ) from error

    def _files_of(self, split: str) -> Mapping[str, str]:
        if split not in self.files:
            raise DataError(f"there is no split '{split}'; there are {', '.join(self.names)}")
        return self.files[split]

    def _open(self, split: str, name: str) -> Array:
        path = self.folder / self.files[split][name]
        try:
            array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DataError(
                f"{path}: cannot be read ({error}); delete {self.folder} to prepare the data again"
            ) from error
        return array


def write_splits(
    folder: Path,
    splits: Mapping[str, Mapping[str, Array]],
    label: str | None,
    notes: tuple[str, ...],
    batch_size: int,
    *,
    synthetic: bool = False,
) -> Splits:
    """Write the arrays as ``.npy`` files, and what they are as ``splits.json``.

    Args:
        folder: Made where it is not there.
        splits: Split name to array name to array; the arrays of a split have equally many rows.
        label: Name of the array that is no input.
        notes: Sentences for the user.
        batch_size: The deployment batch size.
        synthetic: Whether the inputs are random.
    """
    (folder / MANIFEST).unlink(missing_ok=True)
    files: dict[str, dict[str, str]] = {}
    fingerprints: dict[str, str] = {}
    for split, arrays in splits.items():
        folder.joinpath(split).mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        files[split] = {}
        for i, name in enumerate(sorted(arrays)):
            # Numbers, not names: the names of tensors may hold '/' or ':'.
            files[split][name] = f"{split}/{i}.npy"
            _write(folder / files[split][name], name, arrays[name], digest)
        fingerprints[split] = digest.hexdigest()
    inputs = tuple(name for name in splits["search"] if name != label)
    rows = {split: len(next(iter(arrays.values()))) for split, arrays in splits.items()}
    return Splits(
        folder, inputs, label, rows, fingerprints, files, notes, batch_size, synthetic
    ).save()


def native(array: Array) -> Array:
    """The same values in this machine's byte order, which is the only one that runtimes take."""
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _write(path: Path, name: str, array: Array, digest: "hashlib._Hash") -> None:
    """Save an array, row-major and of native byte order, and digest it."""
    plain = np.ascontiguousarray(native(array))  # so that equal values have equal bytes
    np.save(path, plain, allow_pickle=False)
    digest.update(json.dumps([name, plain.dtype.name, plain.shape]).encode())
    digest.update(plain.data)
