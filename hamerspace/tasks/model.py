"""Models as values: tensor specifications, what inspection found, and a model in a folder.

Light on purpose: the measuring process imports this module, and no framework with it.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hamerspace._schema import from_plain

Arrays = Mapping[str, npt.NDArray[Any]]
"""Tensor name to array. The one way in which data cross a boundary."""

MANIFEST = "manifest.json"
SAME = "is the same whatever the rows"
"""Why an output had better not be judged that gave one answer to the rows that were tried."""


def shape_text(shape: Iterable[int | None]) -> str:
    """A shape as it is read, such as ``[?, 10]``."""
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"


@contextmanager
def naming_damage(path: Path) -> Iterator[None]:
    """Raise ``ValueError`` with the file's name where the block meets a value it cannot take.

    By hand: an interpreter of a tool environment, which reads such files too, may lack pydantic.
    """
    try:
        yield
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: damaged ({error!r})") from error


@dataclass(frozen=True)
class TensorSpec:
    """Name, numpy dtype name and shape of an input or output; ``None`` is a free dimension.

    An input that is ``constant`` has no rows: every call is given the same array, such as the
    initial state of a recurrent model.

    ``row_axis`` is the axis of an output that follows the rows of the inputs: 1 of a recogniser's
    ``[time, N, classes]``, ``None`` of anchors that are the same for whatever rows. Inputs have 0.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    constant: bool = False
    row_axis: int | None = 0

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "TensorSpec":
        return cls(**{**value, "shape": tuple(value["shape"])})

    @property
    def rows_first(self) -> "TensorSpec":
        """The output as it is judged: the axis of the rows moved to the front, where it has one."""
        if not self.row_axis:
            return self
        rest = list(self.shape)
        rows = rest.pop(self.row_axis)
        return replace(self, shape=(rows, *rest), row_axis=0)

    @property
    def free_axis(self) -> int | None:
        """The axis of the rows where any number of them is taken."""
        axis = self.row_axis
        free = axis is not None and axis < len(self.shape) and self.shape[axis] is None
        return axis if free else None

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype}{shape_text(self.shape)}"

    def zeros(self) -> npt.NDArray[Any]:
        """Zeros of this shape, with free dimensions of 1."""
        return np.zeros([1 if d is None else d for d in self.shape], np.dtype(self.dtype))

    def sample(self, rows: int, rng: np.random.Generator) -> npt.NDArray[Any]:
        """Random values: standard normal floats, small non-negative integers.

        The first dimension becomes ``rows``; other free dimensions become 16.
        """
        shape = (rows, *(16 if d is None else d for d in self.shape[1:]))
        dtype = np.dtype(self.dtype)
        if dtype.kind == "f":
            values = np.empty(shape, dtype)
            for row in values.reshape(rows, -1):  # each drawn in double precision, then rounded
                row[:] = rng.standard_normal(row.shape)
            return values
        if dtype.kind == "b":
            return rng.integers(0, 2, shape).astype(dtype)
        return rng.integers(0, 100, shape).astype(dtype)


@dataclass(frozen=True)
class Findings:
    """What running a source model on a few rows showed of its outputs.

    Attributes:
        unfit: Output to the reason why a search had better not judge it, or cannot; those that are
            no tensors are here only.
        random: Names of those that differ between two runs on the same rows.
        undefined: Names of those that hold NaN.
    """

    unfit: Mapping[str, str] = field(default_factory=dict)
    random: tuple[str, ...] = ()
    undefined: tuple[str, ...] = ()


_SHORT = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32", "float64": "fp64"}


def by_weights(sizes: Iterable[tuple[str, int]]) -> tuple[str, ...]:
    """Types in the order of :attr:`SourceInfo.weight_dtypes`.

    Args:
        sizes: Type and number of elements of each tensor.
    """
    counts: Counter[str] = Counter()
    for dtype, size in sizes:
        counts[dtype] += size
    return tuple(sorted(counts, key=lambda dtype: (-counts[dtype], dtype)))


@dataclass(frozen=True)
class SourceInfo:
    """What inspection found in a source model.

    Attributes:
        format: ``pytorch``, ``torch_export``, ``torchscript``, ``onnx``, ``keras``,
            ``saved_model``, ``tflite``, or that of another package.
        inputs: Specifications in call order; the first dimension is the batch.
        outputs: Specifications in return order.
        parameter_count: Number of scalar weights.
        size_bytes: Bytes of its weights as they are stored.
        op_families: Of ``conv``, ``linear``, ``attention``, ``rnn``, ``norm``, ``embedding``;
            sorted.
        weight_dtypes: numpy dtype names of the weights (bfloat16 included), the one that most
            weights have first.
        dynamic_batch: Whether the batch dimension is free.
        details: Facts of one format only, such as ``opset`` for ONNX.
        findings: What running it showed of its outputs.
        matrices: Number of its weights with two dimensions or more, where it was counted.
    """

    format: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parameter_count: int
    size_bytes: int
    op_families: tuple[str, ...]
    weight_dtypes: tuple[str, ...] = ("float32",)
    dynamic_batch: bool = True
    details: Mapping[str, Any] = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)
    matrices: int | None = None

    @property
    def precision(self) -> str:
        """What most of the weights are, as recipes are named: ``fp32``, ``bf16``, ``uint8``.

        Integers are weights in a quantised model only, elsewhere sizes or tables.
        """
        quantized = self.details.get("quantized")
        kinds = ("float", "int8", "int4", "int2") if quantized else ("float",)
        found = [d for d in self.weight_dtypes if any(kind in d for kind in kinds)]
        return _SHORT.get(found[0], found[0]) if found else "fp32"

    @property
    def weights_text(self) -> str:
        """``weights``, with their precision where it is not float32: ``bfloat16 weights``."""
        floats = sorted(dtype for dtype in self.weight_dtypes if "float" in dtype)
        return "weights" if floats in ([], ["float32"]) else f"{' and '.join(floats)} weights"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "SourceInfo":
        return from_plain(cls, dict(value))


@dataclass(frozen=True)
class ModelArtifact:
    """A model of one format in a folder: a source, or what a build stage made of it.

    The folder holds the files and ``manifest.json``, which is this value. ``metadata`` is free
    for the format: file names, the builder of a PyTorch module, the history of its pruning.
    """

    folder: Path
    format: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def file(self, key: str) -> Path:
        """Path of the file that ``metadata`` names under ``key``."""
        return self.folder / str(self.metadata[key])

    def save(self) -> "ModelArtifact":
        """Write the manifest into the folder and return self."""
        value = asdict(self)
        del value["folder"]
        (self.folder / MANIFEST).write_text(json.dumps(value, indent=1, sort_keys=True))
        return self

    @classmethod
    def load(cls, folder: Path) -> "ModelArtifact":
        """Read the manifest of ``folder``.

        Raises:
            ValueError: It is damaged.
        """
        with naming_damage(folder / MANIFEST):
            value = json.loads((folder / MANIFEST).read_text())
            return cls(
                folder,
                value["format"],
                tuple(TensorSpec.from_dict(v) for v in value["inputs"]),
                tuple(TensorSpec.from_dict(v) for v in value["outputs"]),
                value["metadata"],
            )
