"""Measure one model by the protocol of a search."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hamerspace.backends import BACKENDS
from hamerspace.backends.base import Candidate
from hamerspace.build.store import Store, default_store_folder
from hamerspace.config.study import LoadedStudy
from hamerspace.errors import BackendUnavailableError, ConfigError, DataError, SourceError
from hamerspace.measure.latency import LatencyPlan
from hamerspace.measure.measurement import Measurement
from hamerspace.search.run_folder import RunFolder
from hamerspace.search.workbench import Workbench
from hamerspace.targets import TARGETS
from hamerspace.tasks.data.reading import read_npz
from hamerspace.tasks.model import MANIFEST

_PLAN = LatencyPlan(0.01, 10.0, 2.0)
_ROWS = 32


@dataclass(frozen=True)
class BenchmarkResult:
    """Figures of one model, and where they were taken."""

    measurement: Measurement
    backend: str
    environment: dict[str, str]
    metric: str | None = None
    notes: tuple[str, ...] = ()


def benchmark_study(loaded: LoadedStudy) -> BenchmarkResult:
    """Measure the source model of a study, quality on its search split included."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        Workbench(loaded, RunFolder(Path(scratch)), Store(default_store_folder())) as bench,
    ):
        measurement = bench.source_measurement
        return BenchmarkResult(
            measurement,
            bench.source_backend,
            bench.target.environment(),
            bench.task.metric.name,
            bench.task.splits.notes,
        )


def is_candidate(path: Path) -> bool:
    """Whether a folder holds an exported candidate."""
    return (path / MANIFEST).is_file()


def benchmark_candidate(
    folder: Path, data: Path | None, batch_size: int, threads: int, timeout_s: float = 300.0
) -> BenchmarkResult:
    """Measure an exported candidate; its inputs come from ``data`` or are drawn at random.

    Raises:
        ConfigError: A number is below 1.
        SourceError: The folder's manifest is damaged or a file is missing.
        DataError: The data lack an input.
        BackendUnavailableError: The candidate's runtime is not installed.
    """
    for flag, value in {"--batch-size": batch_size, "--threads": threads}.items():
        if value < 1:
            raise ConfigError(f"{flag}: must be at least 1, not {value}")
    try:
        candidate = Candidate.load(folder.resolve())
        _ = candidate.size_bytes
    except (KeyError, ValueError, TypeError) as error:
        raise SourceError(f"{folder / MANIFEST}: is not a candidate's manifest: {error}") from error
    except FileNotFoundError as error:
        raise SourceError(
            f"{folder}: a file of the candidate is missing: {error.filename}"
        ) from error
    config = BACKENDS.load(candidate.backend)
    if config.missing():
        raise BackendUnavailableError(
            f"{folder} runs on {config.title}, which is not installed; {config.hint()}"
        )
    target = TARGETS.load("local")(threads, timeout_s)
    with tempfile.TemporaryDirectory() as scratch:
        inputs = _inputs(candidate, data, batch_size, Path(scratch))
        try:
            target.set_reference(candidate, inputs, batch_size, Path(scratch) / "log")
            measurement = target.measure_reference(candidate, inputs, batch_size, _PLAN)
        finally:
            target.close()
    notes = () if data else (_random_inputs(candidate),)
    return BenchmarkResult(measurement, candidate.backend, target.environment(), notes=notes)


def _random_inputs(candidate: Candidate) -> str:
    """That the inputs are random, and of what size where the model leaves that open."""
    note = "no data given: the inputs are random"
    free = [spec for spec in candidate.inputs if None in spec.shape[1:]]
    if not free:
        return note
    drawn = "; ".join(
        f"{spec.name} {'x'.join(map(str, spec.sample(1, np.random.default_rng(0)).shape))}"
        for spec in free
    )
    return f"{note}, and of a size that the model leaves open ({drawn}); give --data for yours"


def _inputs(
    candidate: Candidate, data: Path | None, batch_size: int, folder: Path
) -> dict[str, str]:
    rng = np.random.default_rng(0)
    rows = _ROWS * batch_size
    if data is None:
        arrays = {spec.name: spec.sample(rows, rng) for spec in candidate.inputs}
    else:
        splits = read_npz(data)
        given = next(iter(splits.values()))
        missing = [spec.name for spec in candidate.inputs if spec.name not in given]
        if missing:
            raise DataError(
                f"{data}: lacks the input {missing[0]!r}; it has {', '.join(sorted(given))}"
            )
        arrays = {spec.name: given[spec.name][:rows] for spec in candidate.inputs}
    paths = {}
    for index, (name, array) in enumerate(arrays.items()):
        path = folder / f"{index}.npy"
        np.save(path, array)
        paths[name] = str(path)
    return paths
