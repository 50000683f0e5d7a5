"""The contract of a backend: an adapter to one runtime.

A backend is a folder with two modules. ``config.py`` holds a :class:`BackendConfig`: what it
offers and what it refuses, known without importing the runtime. ``backend.py`` holds a
:class:`Backend`, which builds and runs; it imports the runtime inside its methods, so that a
measuring process loads no more than it runs. One line in ``hamerspace/backends/__init__.py``, or
an entry point ``hamerspace.backends`` of another package, registers it. The conformance suite in
:mod:`hamerspace.testing` is the judge.
"""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

from hamerspace._registry import import_string
from hamerspace.environments import environment_python, environment_versions, install_hint
from hamerspace.errors import BuildError, NothingToLowerError
from hamerspace.recipe import KnownRecipe, Mask, Parameter, Scalar
from hamerspace.tasks.model import (
    MANIFEST,
    Arrays,
    ModelArtifact,
    SourceInfo,
    TensorSpec,
    naming_damage,
)

_BITS = re.compile(r"(?:int|fp|bf|nf|float)(\d+)")


def bits_of(dtype: str) -> int:
    """Bits of a type by its name: 8 for ``int8`` and ``float8_e4m3fn``, 4 for ``nf4``."""
    found = re.search(r"\d+", dtype)
    return int(found[0]) if found else 64


@dataclass(frozen=True)
class Host:
    """What of a device decides which choices make sense.

    Attributes:
        machine: As ``platform.machine()`` says: ``x86_64``, ``aarch64``.
        cpu_flags: Feature flags of the processor, such as ``avx512_bf16``.
        gpu: Name of the GPU on which models run; empty where they run on the processor.
        compute_capability: Of that GPU, as CUDA counts them.
    """

    machine: str
    cpu_flags: frozenset[str]
    gpu: str = ""
    compute_capability: tuple[int, int] = (0, 0)


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

    def with_runtime(self, options: Mapping[str, Scalar]) -> "Candidate":
        """The same files, loaded with other options."""
        return replace(self, runtime=dict(options))

    def to_dict(self) -> dict[str, Any]:
        """A JSON value that holds everything, the folder included."""
        return {
            "folder": str(self.folder),
            "backend": self.backend,
            "files": list(self.files),
            "inputs": [asdict(t) for t in self.inputs],
            "outputs": [asdict(t) for t in self.outputs],
            "runtime": dict(self.runtime),
            "metadata": dict(self.metadata),
        }

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


class BackendConfig(ABC):
    """What a backend offers, known without importing its runtime.

    Attributes:
        name: Registry name, and prefix of its parameters.
        title: Name for people.
        modules: Top-level modules that must be importable; the first is the runtime itself.
        distributions: Package names whose versions enter the store's keys.
        extra: The extra of ``pip install 'hamerspace[EXTRA]'`` that brings them.
        model_formats: Formats of :class:`ModelArtifact` that :meth:`Backend.build` takes, best
            first; the build converts a model that has none of them.
        source_formats: Further formats that :meth:`Backend.wrap_source` takes: models that the
            backend runs as they are, and builds from once they are converted.
        implementation: Import string of the :class:`Backend`.
        build_modules: Further modules that building imports. The build worker imports them once,
            instead of in each build.
        environment: Name of the tool environment that builds and measures, where the runtime's
            dependencies clash with ours; see :mod:`hamerspace.environments`.
        hardware: Kinds of device that it runs on: ``cpu``, ``gpu``.
        layers_a_weight: Layers, at most, that can be kept in higher precision for each weight with
            two dimensions or more: above 1 where sums and the like count as layers.
        keeps_precision: Whether a build without quantization has the precision of the source,
            where it is in one of ``model_formats``, rather than float32.
        model_suffixes: Of the model files that it builds, such as ``.onnx``; users ask for a file
            of a candidate by them.
        companion_suffixes: Of files that the runtime finds by the model file's own name.
    """

    name: str
    title: str
    modules: tuple[str, ...]
    distributions: tuple[str, ...]
    extra: str
    model_formats: tuple[str, ...]
    implementation: str
    source_formats: tuple[str, ...] = ()
    build_modules: tuple[str, ...] = ()
    environment: str | None = None
    hardware: tuple[str, ...] = ("cpu",)
    layers_a_weight: int = 1
    keeps_precision: bool = True
    model_suffixes: tuple[str, ...] = ()
    companion_suffixes: tuple[str, ...] = ()

    @property
    def runtime(self) -> str:
        """The module that a measuring process imports before it loads a candidate."""
        return self.modules[0]

    @abstractmethod
    def parameters(self) -> tuple[Parameter, ...]:
        """Every choice, with its legal values and conditions, in the order of the decisions."""

    @abstractmethod
    def capabilities(self, source: SourceInfo, host: Host) -> tuple[Mask, ...]:
        """What cannot be built from ``source`` or makes no sense on ``host``, with the reasons.

        To refuse a source as a whole, mask the value of the parameter ``backend``.
        """

    def known_recipes(self, source: SourceInfo) -> tuple[KnownRecipe, ...]:  # noqa: ARG002 - for those who override it
        """Recipes worth trying first; the fp32 baseline is the first of them."""
        return ()

    def sensitivity_parameters(self, parameters: Mapping[str, Scalar]) -> dict[str, Scalar] | None:  # noqa: ARG002 - for those who override it
        """What decides the ranking of layers that a recipe needs; ``None`` where it needs none.

        Args:
            parameters: As :meth:`Backend.build` gets them. A backend that offers mixed precision
                has ``float_layers`` among them, the number of layers to keep.
        """
        return None

    def promised_bits(self, parameters: Mapping[str, Scalar]) -> int | None:
        """Bits of the type in which a build stores weights; ``None`` where it keeps the model's.

        By default the number in the name of the parameter ``quantization``: 8 for ``static_int8``,
        16 for ``bf16``, 4 for ``nf4``.

        Args:
            parameters: As :meth:`Backend.build` gets them.
        """
        found = _BITS.search(str(parameters.get("quantization", "")))
        return None if found is None else int(found[1])

    def checked(self, candidate: Candidate, parameters: Mapping[str, Scalar]) -> Candidate:
        """The candidate, telling in ``metadata["lowered"]`` how much the promise is worth.

        That is the share of its weights, by number, in a type of no more than
        :meth:`promised_bits`; nothing is added where nothing was promised.

        Args:
            candidate: Its ``metadata["weights"]`` counts the weights of the files by type.
            parameters: What it was built with, as :meth:`Backend.build` gets them.

        Raises:
            NothingToLowerError: No weight has so few bits, so the name would be wrong.
            BuildError: The backend does not count the weights.
        """
        bits = self.promised_bits(parameters)
        if bits is None:
            return candidate
        what = f"{self.name} {parameters['quantization']}"
        if "weights" not in candidate.metadata:
            raise BuildError(f"{what}: the backend does not count the weights of what it built")
        weights: Mapping[str, int] = candidate.metadata["weights"]
        lowered = sum(n for dtype, n in weights.items() if bits_of(dtype) <= bits)
        if not lowered:
            kept = ", ".join(dtype for dtype, n in weights.items() if n) or "no weights at all"
            raise NothingToLowerError(
                f"{what} found nothing to store in {bits} bits: what was built has {kept}; choose "
                "another quantization, or none"
            )
        share = lowered / sum(weights.values())
        return replace(candidate, metadata={**candidate.metadata, "lowered": round(share, 4)})

    def compiles_for_host(self, parameters: Mapping[str, Scalar]) -> bool:  # noqa: ARG002 - for those who override it
        """Whether a build makes machine code for the processor or the GPU at hand.

        Such code need not run on others, so each kind of them has a build of its own.

        Args:
            parameters: As :meth:`Backend.build` gets them.
        """
        return False

    def missing(self) -> tuple[str, ...]:
        """Modules that are not installed, or the environment that is not."""
        if self.environment is not None:
            here = environment_python(self.environment) is not None
            return () if here else (self.environment,)
        return tuple(name for name in self.modules if find_spec(name) is None)

    def hint(self) -> str:
        """The command that installs what is missing."""
        if self.environment is not None:
            return install_hint(self.environment)
        return f"pip install 'hamerspace[{self.extra}]'"

    def versions(self) -> dict[str, str]:
        """Installed versions of :attr:`distributions`; those not installed are left out."""
        if self.environment is not None:
            return environment_versions(self.environment)
        found = {}
        for name in self.distributions:
            try:
                found[name] = version(name)
            except PackageNotFoundError:
                continue
        return found

    def create(self) -> "Backend":
        """Import the implementation and return a new backend."""
        backend: Backend = import_string(self.implementation)()
        return backend


class Session(ABC):
    """A loaded candidate. ``run`` is what gets timed, so it must add next to nothing.

    It belongs to who loaded it, is used from that thread, one run at a time, and lasts as long as
    the object: there is nothing to close. Within a search a process loads one and ends with it.
    """

    @abstractmethod
    def run(self, batch: Arrays) -> Arrays:
        """Run once.

        Args:
            batch: Every input by name, with the dtype and shape of the candidate's manifest.

        Returns:
            Every output by name, in the manifest's order. The arrays may be overwritten by the
            next run; floating-point outputs are float32 or float64.
        """

    def device_ns(self, batches: Sequence[Arrays]) -> list[int] | None:  # noqa: ARG002 - for those who override it
        """Run each batch and time it by the clock of a device that works beside the processor.

        Returns:
            Nanoseconds from the inputs on the host to the outputs there; ``None``, the default,
            to have :meth:`run` timed.
        """
        return None

    def peak_device_bytes(self) -> int | None:
        """Most memory taken on such a device so far; ``None``, the default, without one."""
        return None


class Backend(ABC):
    """Builds candidates of one runtime and runs them."""

    @abstractmethod
    def build(
        self,
        source: ModelArtifact,
        parameters: Mapping[str, Scalar],
        calibration: Sequence[Arrays] | None,
        workdir: Path,
        float_layers: Sequence[str] = (),
    ) -> Candidate:
        """Build a candidate in ``workdir``.

        Args:
            source: A model in one of the config's ``model_formats``.
            parameters: The active parameters of this backend, without its name as prefix
                (``quantization``, not ``onnxruntime.quantization``), runtime ones left out.
            calibration: Batches of inputs at the deployment batch size; ``None`` without data.
            workdir: An empty folder, also the current directory. What is not in the candidate's
                ``files`` is deleted afterwards.
            float_layers: Layers to keep in higher precision, named as :meth:`sensitivity` does.

        Returns:
            The candidate. It keeps the names and the order of the inputs and outputs, and counts
            its weights where fewer bits were promised; see :meth:`BackendConfig.checked`.

        Raises:
            BuildError: The recipe cannot be built from this model, or nothing in it can take the
                bits that the recipe promises. Any other exception counts the same, only with a
                less friendly text.
        """

    def sensitivity(
        self,
        source: ModelArtifact,  # noqa: ARG002 - for those who override it
        parameters: Mapping[str, Scalar],  # noqa: ARG002
        calibration: Sequence[Arrays] | None,  # noqa: ARG002
        workdir: Path,  # noqa: ARG002
    ) -> list[tuple[str, float]]:
        """Rank the layers by how much the outputs suffer where that layer alone is quantised.

        Args:
            source: As in :meth:`build`.
            parameters: What :meth:`BackendConfig.sensitivity_parameters` returned.
            calibration: As in :meth:`build`.
            workdir: An empty folder, also the current directory; nothing in it is kept.

        Returns:
            Layer and error, the most sensitive layer first. The error is the mean squared
            difference of the outputs over their mean square.

        Raises:
            BuildError: The backend ranks no layers, which is the default, or this model has none.
        """
        raise BuildError(f"{type(self).__name__} keeps no single layers in higher precision")

    def wrap_source(self, source: ModelArtifact) -> Candidate:
        """The source model as its user runs it: the reference of a study.

        Nothing is built or written: the candidate's folder is the source's own.

        Raises:
            BuildError: The backend runs no source format, which is the default.
        """
        raise BuildError(f"{type(self).__name__} runs no source format, '{source.format}' included")

    @abstractmethod
    def load(self, candidate: Candidate, threads: int) -> Session:
        """Load a candidate for inference on ``threads`` threads."""

    @abstractmethod
    def predict_source(self, candidate: Candidate) -> str:
        """Python source of ``load(folder) -> run``, where ``run`` maps arrays to arrays.

        It becomes part of the exported ``predict.py`` and imports the runtime and numpy only.
        """


def batches(
    arrays: Arrays, size: int, rows: int | None = None, constants: Collection[str] = ()
) -> Iterator[dict[str, Any]]:
    """Yield consecutive batches of exactly ``size`` rows.

    The last batch is filled up by repeating its last row, so that a model with a fixed batch
    dimension takes it; whoever collects outputs drops the surplus.

    Args:
        arrays: Inputs by name.
        size: Rows of a batch.
        rows: Use no more than these; default: all.
        constants: Names of inputs without rows, which every batch holds whole.
    """
    same = {name: arrays[name] for name in constants if name in arrays}
    sliced = {name: array for name, array in arrays.items() if name not in same}
    total = len(next(iter(sliced.values())))
    total = total if rows is None else min(rows, total)
    for start in range(0, total, size):
        stop = min(start + size, total)
        batch = {name: array[start:stop] for name, array in sliced.items()}
        if stop - start < size:
            fill = size - (stop - start)
            batch = {name: _repeat_last(array, fill) for name, array in batch.items()}
        yield {name: same.get(name, batch.get(name)) for name in arrays}


def _repeat_last(array: Any, times: int) -> Any:
    import numpy as np

    return np.concatenate([array, np.repeat(array[-1:], times, axis=0)])
