"""What a build makes: a folder that a measuring process loads."""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from hamerspace.recipe import Scalar
from hamerspace.tasks.model import MANIFEST, TensorSpec, naming_damage


@dataclass(frozen=True)
class Candidate:
    """A built recipe: a folder with model files and a manifest.

    Attributes:
        folder: Where the files lie.
        backend: Name of the backend that runs it.
        files: File names within ``folder`` that the runtime needs; they make up the size.
        inputs: Specifications in call order.
        outputs: Specifications in return order.
        runtime: Options of the load, such as a graph optimisation level.
        metadata: Free for the backend; ``runtime_module`` names what a measuring process imports
            before it loads the candidate, where that is not the config's ``runtime``; ``weights``
            counts the weights in ``files`` by type, such as ``{"int8": 600, "float32": 20}``, where
            the build lowered some.
    """

    folder: Path
    backend: str
    files: tuple[str, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    runtime: Mapping[str, Scalar] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts:
                raise ValueError(f"{name!r} is no file within the folder of a candidate")

    @property
    def size_bytes(self) -> int:
        """Bytes of every file that the runtime needs."""
        return sum((self.folder / name).stat().st_size for name in self.files)

    def share_within(self, bits: int) -> float:
        """The share of the weights that ``metadata`` counts, by number, of at most so many bits."""
        weights: Mapping[str, int] = self.metadata["weights"]
        within = sum(n for dtype, n in weights.items() if (bits_of(dtype) or 64) <= bits)
        return within / max(sum(weights.values()), 1)

    def noting(self, **entries: Any) -> "Candidate":
        """The same files, with further entries of ``metadata``."""
        return replace(self, metadata={**self.metadata, **entries})

    def with_runtime(self, options: Mapping[str, Scalar]) -> "Candidate":
        """The same files, loaded with other options."""
        return replace(self, runtime=dict(options))

    def to_dict(self) -> dict[str, Any]:
        """A JSON value that holds everything, the folder included."""
        return {**asdict(self), "folder": str(self.folder)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Candidate":
        """Read what :meth:`to_dict` wrote."""
        return cls(
            Path(value["folder"]),
            value["backend"],
            tuple(value["files"]),
            tuple(TensorSpec.from_dict(v) for v in value["inputs"]),
            tuple(TensorSpec.from_dict(v) for v in value["outputs"]),
            value["runtime"],
            value["metadata"],
        )

    def save(
        self, folder: Path | None = None, more: Mapping[str, Any] | None = None
    ) -> "Candidate":
        """Write the manifest into ``folder`` (default: the candidate's own) and return self.

        ``more`` are entries for other readers, which :meth:`load` passes over.
        """
        value = {**(more or {}), **self.to_dict()}
        del value["folder"]  # a candidate may move, so its manifest does not say where it lies
        target = (folder or self.folder) / MANIFEST
        target.write_text(json.dumps(value, indent=1, sort_keys=True))
        return self

    @classmethod
    def load(cls, folder: Path) -> "Candidate":
        """Read the manifest of ``folder``.

        Raises:
            ValueError: It is damaged.
        """
        with naming_damage(folder / MANIFEST):
            return cls.from_dict({"folder": folder, **json.loads((folder / MANIFEST).read_text())})


def bits_of(name: str) -> int | None:
    """The number in a name: 8 of ``static_int8`` and ``float8_e4m3fn``, 4 of ``nf4``."""
    found = re.search(r"\d+", name)
    return None if found is None else int(found[0])
