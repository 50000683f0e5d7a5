"""The contract of a backend: an adapter to one runtime.

A backend is a folder with two modules. ``config.py`` holds a :class:`BackendConfig`: what it
offers and what it refuses, known without importing the runtime. ``backend.py`` holds a
:class:`Backend`, which builds and runs; it imports the runtime inside its methods, so that a
measuring process loads no more than it runs. One line in ``hamerspace/backends/__init__.py``, or
an entry point ``hamerspace.backends`` of another package, registers it. The conformance suite in
:mod:`hamerspace.testing` is the judge.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from hamerspace._registry import import_string
from hamerspace.backends._parameters import complete_parameters
from hamerspace.backends._sensitivity import ranking_batches
from hamerspace.backends.candidate import Candidate, bits_of
from hamerspace.environments import Requirements
from hamerspace.errors import BuildError, HamerspaceError, NothingToLowerError
from hamerspace.recipe import KnownRecipe, Mask, Parameter, Scalar
from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo

FLOAT_LAYERS = "float_layers"
"""Name, without prefix, of the parameter that says how many layers stay in higher precision."""


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


class BackendConfig(Requirements, ABC):
    """What a backend offers, known without importing its runtime.

    Attributes:
        name: Registry name, and prefix of its parameters.
        title: Name for people.
        model_formats: Formats of :class:`ModelArtifact` that :meth:`Backend.build` takes, best
            first; the build converts a model that has none of them.
        source_formats: Further formats that :meth:`Backend.wrap_source` takes: models that the
            backend runs as they are, and builds from once they are converted.
        implementation: Import string of the :class:`Backend`.
        hardware: Kinds of device that it runs on: ``cpu``, ``gpu``.
        quantization: Name, without the prefix, of the parameter that says in what weights are
            stored.
        unquantized: Its value with which floating point is kept.
        layers_a_weight: Layers, at most, that can be kept in higher precision for each weight with
            two dimensions or more: above 1 where sums and the like count as layers.
        keeps_precision: Whether a build without quantization has the precision of the source,
            where it is in one of ``model_formats``, rather than float32.
        model_suffixes: Of the model files that it builds, such as ``.onnx``; users ask for a file
            of a candidate by them. Where there are any, a candidate has exactly one such file.
        companion_suffixes: Of files that the runtime finds by the model file's own name.
    """

    name: str
    title: str
    model_formats: tuple[str, ...]
    implementation: str
    source_formats: tuple[str, ...] = ()
    hardware: tuple[str, ...] = ("cpu",)
    quantization: str = "quantization"
    unquantized: str = "none"
    layers_a_weight: int = 1
    keeps_precision: bool = True
    model_suffixes: tuple[str, ...] = ()
    companion_suffixes: tuple[str, ...] = ()

    @property
    def runtime(self) -> str:
        """The module that a measuring process imports before it loads a candidate."""
        return self.modules[0]

    @property
    def quantization_name(self) -> str:
        """:attr:`quantization` as it stands in a recipe."""
        return f"{self.name}.{self.quantization}"

    @abstractmethod
    def parameters(self) -> tuple[Parameter, ...]:
        """Every choice, with its legal values and conditions, in the order of the decisions.

        A number of layers to keep in higher precision is named ``float_layers``, and is active for
        the schemes that rank layers.
        """

    @abstractmethod
    def capabilities(self, source: SourceInfo, host: Host) -> tuple[Mask, ...]:
        """What cannot be built from ``source`` or makes no sense on ``host``, with the reasons.

        To refuse a source as a whole, mask the value of the parameter ``backend``.
        """

    def known_recipes(self, source: SourceInfo) -> tuple[KnownRecipe, ...]:  # noqa: ARG002 - for those who override it
        """Recipes worth trying first; the fp32 baseline is the first of them."""
        return ()

    def split(self, recipe: Mapping[str, Scalar]) -> tuple[dict[str, Scalar], dict[str, Scalar]]:
        """What of a recipe a build gets and what a load gets, both without the prefix."""
        parts: tuple[dict[str, Scalar], dict[str, Scalar]] = {}, {}
        for parameter in self.parameters():
            if parameter.name in recipe:
                short = parameter.name.removeprefix(f"{self.name}.")
                parts[parameter.runtime][short] = recipe[parameter.name]
        return parts

    def complete(self, given: Mapping[str, Scalar], *, runtime: bool = False) -> dict[str, Scalar]:
        """The active parameters of a build, or of a load, with the defaults of those not given.

        Args:
            given: Names without the prefix.
            runtime: Whether these are the options of a load. The conditions of runtime parameters
                may name build parameters, which a load does not know, so they are not looked at.

        Raises:
            BuildError: A name or a value is not the backend's, or a parameter is not active.
        """
        return complete_parameters(self.name, self.parameters(), given, runtime=runtime)

    def sensitivity_parameters(self, parameters: Mapping[str, Scalar]) -> dict[str, Scalar] | None:
        """What decides the ranking of layers that a recipe needs; ``None`` where it needs none.

        By default all of ``parameters`` but the number of layers.

        Args:
            parameters: Those of a build, without the prefix.
        """
        if not parameters.get(FLOAT_LAYERS):
            return None
        return {name: value for name, value in parameters.items() if name != FLOAT_LAYERS}

    def promised_bits(self, parameters: Mapping[str, Scalar]) -> int | None:
        """Bits of the type in which a build stores weights; ``None`` where it keeps the model's.

        By default the number in the value of :attr:`quantization`: 8 for ``static_int8``, 16 for
        ``bf16``, 4 for ``nf4``.

        Args:
            parameters: Those of a build, without the prefix.
        """
        value = str(parameters.get(self.quantization, self.unquantized))
        return None if value == self.unquantized else bits_of(value)

    def calibrated(self, parameters: Mapping[str, Scalar]) -> tuple[Parameter, ...]:
        """Those that cannot be built without calibration data.

        Args:
            parameters: Those of a build, without the prefix.
        """
        prefix = f"{self.name}."
        return tuple(
            p
            for p in self.parameters()
            if parameters.get(p.name.removeprefix(prefix)) in p.calibrated
        )

    def compiles_for_host(self, parameters: Mapping[str, Scalar]) -> bool:  # noqa: ARG002 - for those who override it
        """Whether a build makes machine code for the processor or the GPU at hand.

        Such code need not run on others, so each kind of them has a build of its own.

        Args:
            parameters: Those of a build, without the prefix.
        """
        return False

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


@dataclass(frozen=True)
class BuildJob:
    """What to build, or to rank the layers of: one value, so that it can grow.

    Attributes:
        source: A model in one of the config's ``model_formats``.
        parameters: Those of the backend, without its name as prefix (``quantization``, not
            ``onnxruntime.quantization``), runtime ones left out. The hooks get them complete: all
            that are active, and legal.
        calibration: Batches of inputs at the deployment batch size; ``None`` without data. The
            hooks get them where a parameter's value is ``calibrated``.
        workdir: An empty folder, also the current directory. What is not in the candidate's
            ``files`` is deleted afterwards.
        float_layers: Layers to keep in higher precision, named as :meth:`Backend.rank` does.
    """

    source: ModelArtifact
    parameters: Mapping[str, Scalar]
    calibration: Sequence[Arrays] | None
    workdir: Path
    float_layers: Sequence[str] = ()


class Backend(ABC):
    """Builds candidates of one runtime and runs them.

    :meth:`make` and :meth:`rank` are the hooks of :meth:`build` and :meth:`sensitivity`.

    Attributes:
        config: What it offers.
    """

    config: ClassVar[BackendConfig]

    def build(self, job: BuildJob) -> Candidate:
        """Build a candidate, check that it is what its recipe says, and save its manifest.

        Its ``metadata["lowered"]`` tells how much a promise of fewer bits is worth: the share of
        the weights, by number, in a type of no more than :meth:`BackendConfig.promised_bits`.

        Raises:
            NothingToLowerError: No weight has so few bits, so the name would be wrong.
            BuildError: The recipe cannot be built from this model, or not without calibration
                data. What else :meth:`make` raises, but for want of memory, becomes one.
        """
        job = self._completed(job)
        self._refuse_uncalibrated(job)
        with self._explaining(job):
            made = self.make(job)
        return self._checked(made, job.parameters).save()

    @abstractmethod
    def make(self, job: BuildJob) -> Candidate:
        """Write the candidate's files into the job's folder; see :meth:`candidate`.

        It keeps the names and the order of the inputs and outputs, and counts its weights by type
        in ``metadata["weights"]`` where fewer bits were promised.
        """

    def sensitivity(self, job: BuildJob) -> list[tuple[str, float]]:
        """Rank the layers by how much the outputs suffer where that layer alone is quantised.

        Args:
            job: Its parameters are what :meth:`BackendConfig.sensitivity_parameters` returned;
                nothing in its folder is kept.

        Returns:
            Layer and error, the most sensitive layer first. The error is the mean squared
            difference of the outputs over their mean square.

        Raises:
            BuildError: There are no calibration data, or there is no layer to rank. What else
                :meth:`rank` raises, but for want of memory, becomes one.
        """
        job, config = self._completed(job), self.config
        if FLOAT_LAYERS not in job.parameters:
            kind = job.parameters.get(config.quantization, "")
            raise BuildError(f"{config.quantization_name} {kind} has no layers to rank")
        if not job.calibration:
            raise BuildError(
                f"{config.name}.{FLOAT_LAYERS} needs calibration data to rank the layers; give the "
                "task data"
            )
        with self._explaining(job):
            return self.rank(job, ranking_batches(job.calibration, job.source.inputs))

    def rank(self, job: BuildJob, batches: Sequence[Arrays]) -> list[tuple[str, float]]:
        """What :meth:`sensitivity` returns, judged on ``batches``; some do not rank."""
        raise NotImplementedError

    def explain(self, job: BuildJob, error: Exception) -> str:
        """What could not be built and why, in one line for people."""
        kind = job.parameters.get(self.config.quantization, "a candidate")
        model = Path(job.source.metadata.get("model", "this model")).name
        text = str(error).strip() or repr(error)
        return f"{self.config.title} cannot build {kind} from {model}: {text}"

    def candidate(
        self, source: ModelArtifact, folder: Path, *files: str, **metadata: Any
    ) -> Candidate:
        """One with the inputs and outputs of ``source``."""
        name, inputs, outputs = self.config.name, source.inputs, source.outputs
        return Candidate(folder, name, files, inputs, outputs, metadata=metadata)

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

    def _completed(self, job: BuildJob) -> BuildJob:
        config = self.config
        if job.source.format not in config.model_formats:
            raise BuildError(f"{config.title} cannot build from {job.source.format} models")
        return replace(job, parameters=config.complete(job.parameters))

    def _refuse_uncalibrated(self, job: BuildJob) -> None:
        if job.calibration:
            return
        for parameter in self.config.calibrated(job.parameters):
            value = job.parameters[parameter.name.removeprefix(f"{self.config.name}.")]
            bits = bits_of(str(value))
            others = [c for c in parameter.choices if c not in parameter.calibrated]
            as_small = (other for other in others if bits_of(str(other)) == bits)
            raise BuildError(
                f"{parameter.name} {value} needs calibration data; give the task data, or choose "
                f"{next(as_small, parameter.default)}"
            )

    @contextmanager
    def _explaining(self, job: BuildJob) -> Iterator[None]:
        try:
            yield
        except (HamerspaceError, MemoryError):
            raise
        except Exception as error:
            raise BuildError(self.explain(job, error)) from error

    def _checked(self, made: Candidate, parameters: Mapping[str, Scalar]) -> Candidate:
        config = self.config
        own = [name for name in made.files if Path(name).suffix in config.model_suffixes]
        if config.model_suffixes and len(own) != 1:
            suffixes = " or ".join(config.model_suffixes)
            raise BuildError(
                f"{config.name}: a candidate has exactly one {suffixes} file, not {len(own)} of "
                f"{', '.join(made.files)}"
            )
        if config.quantization in parameters:
            made = made.noting(quantization=parameters[config.quantization])
        bits = config.promised_bits(parameters)
        if bits is None:
            return made
        what = f"{config.name} {parameters[config.quantization]}"
        if "weights" not in made.metadata:
            raise BuildError(f"{what}: the backend does not count the weights of what it built")
        lowered = made.share_within(bits)
        if not lowered:
            weights = made.metadata["weights"]
            kept = ", ".join(dtype for dtype, n in weights.items() if n) or "no weights at all"
            raise NothingToLowerError(
                f"{what} found nothing to store in {bits} bits: what was built has {kept}; choose "
                f"another {config.quantization}, or {config.unquantized}"
            )
        return made.noting(lowered=round(lowered, 4))
