"""Measure one model by the protocol of a search."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from hamerspace.backends import BACKENDS
from hamerspace.backends.candidate import Candidate
from hamerspace.build.store import Store, default_store_folder
from hamerspace.config.study import MOST, LoadedStudy
from hamerspace.errors import BackendUnavailableError, ConfigError, DataError
from hamerspace.measure.latency import LatencyPlan, timed_in_pairs
from hamerspace.outcome.measurement import Measurement
from hamerspace.search.export import Deployment, fixed_batch, varying
from hamerspace.search.exported import read_exported
from hamerspace.search.prepared import Prepared
from hamerspace.search.workbench import Workbench
from hamerspace.targets import TARGETS, Measurer
from hamerspace.tasks.data.reading import read_npz
from hamerspace.tasks.data.splits import Array
from hamerspace.tasks.inputs import array_problems
from hamerspace.tasks.model import MANIFEST

_PLAN = LatencyPlan(0.01, 2.0, 0.5)
_BATCHES = 32


@dataclass(frozen=True)
class BenchmarkResult:
    """Figures of one model, and how and where they were taken."""

    measurement: Measurement
    backend: str
    deployment: Deployment
    environment: dict[str, str]
    metric: str | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def benchmark_study(loaded: LoadedStudy) -> BenchmarkResult:
    """Measure the source model of a study, quality on its search split included."""
    with Prepared(loaded, Store(default_store_folder())) as prepared:
        task, backend = prepared.task, prepared.source.backend
        with Workbench(prepared) as bench:
            measurement = timed_in_pairs(
                bench.source_measurement, lambda pair: bench.time_afresh(None, pair, _PLAN.max_s)
            )
            return BenchmarkResult(
                measurement,
                backend,
                Deployment(task.batch_size, loaded.config.target.threads),
                prepared.target.environment(),
                bench.metric.name,
                task.splits.notes,
                task.splits.warnings,
            )


def is_candidate(path: Path) -> bool:
    """Whether a folder holds an exported candidate."""
    return (path / MANIFEST).is_file()


def benchmark_candidate(
    folder: Path,
    data: Path | None,
    batch_size: int | None = None,
    threads: int | None = None,
    timeout_s: float = 300.0,
) -> BenchmarkResult:
    """Measure an exported candidate.

    Args:
        folder: Of the candidate.
        data: Its inputs, an ``.npz`` file; without it they are drawn at random.
        batch_size: Rows of a batch; default: the model's own where it is fixed, else that of the
            study that made the candidate, else 1.
        threads: Threads of one inference; default: the study's, else 1.
        timeout_s: Wall seconds that one measuring step may take.

    Raises:
        ConfigError: A number is below 1 or too great, or another batch than the model takes.
        SourceError: The folder's manifest is damaged or a file is missing.
        DataError: The data lack an input, or do not fit the model.
        BackendUnavailableError: The candidate's runtime is not installed.
    """
    for flag, value in {"--batch-size": batch_size, "--threads": threads}.items():
        if value is not None and not 1 <= value <= MOST:
            raise ConfigError(f"{flag}: must be at least 1 and at most {MOST}, not {value}")
    candidate, made_for = read_exported(folder)
    config = BACKENDS.load(candidate.backend)
    if config.missing():
        raise BackendUnavailableError(
            f"{folder} runs on {config.title}, which is not installed; {config.hint()}"
        )
    rows = _batch_size(candidate, batch_size, made_for.batch_size)
    deployment = Deployment(rows, threads or made_for.threads)
    arrays = (
        _random(candidate, rows * _BATCHES)
        if data is None
        else _given(candidate, data, rows * _BATCHES)
    )
    target = TARGETS.load("local")(deployment.threads, timeout_s)
    with tempfile.TemporaryDirectory() as scratch:
        inputs = _saved(arrays, Path(scratch))
        with (
            closing(target),
            closing(Measurer(target, candidate, inputs, rows, Path(scratch) / "log")) as measurer,
        ):
            measurement = timed_in_pairs(
                measurer.measure_source(_PLAN), partial(measurer.time_afresh, None, _PLAN)
            )
    notes = () if data else (_random_inputs(candidate),)
    return BenchmarkResult(
        measurement, candidate.backend, deployment, target.environment(), notes=notes
    )


def _batch_size(candidate: Candidate, asked: int | None, made_for: int) -> int:
    """The rows of a batch: those that the model is fixed at, or what is asked for."""
    fixed = fixed_batch(candidate.inputs)
    if fixed is not None and asked not in (None, fixed):
        raise ConfigError(
            f"--batch-size: the model has a fixed batch of {fixed}, not {asked}; leave it out"
        )
    return fixed or asked or made_for


def _random_inputs(candidate: Candidate) -> str:
    """That the inputs are random, and of what size where the model leaves that open."""
    note = "no data given: the inputs are random"
    free = [spec for spec in varying(candidate.inputs) if None in spec.shape[1:]]
    if not free:
        return note
    drawn = "; ".join(
        f"{spec.name} {'x'.join(map(str, spec.sample(1, np.random.default_rng(0)).shape))}"
        for spec in free
    )
    return f"{note}, and of a size that the model leaves open ({drawn}); give --data for yours"


def _random(candidate: Candidate, rows: int) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    return {
        spec.name: spec.zeros() if spec.constant else spec.sample(rows, rng)
        for spec in candidate.inputs
    }


def _given(candidate: Candidate, data: Path, rows: int) -> dict[str, Array]:
    """The first rows of each input in a file; constants whole, or zeros where it has none.

    Raises:
        DataError: With one line for each misfit.
    """
    splits = read_npz(data)
    given = next(iter(splits.values()))
    anywhere = {name: array for arrays in splits.values() for name, array in arrays.items()}
    found, problems = {}, []
    for spec in candidate.inputs:
        if spec.constant:
            array = anywhere.get(spec.name, spec.zeros())
        elif spec.name in given:
            array = given[spec.name][:rows] if given[spec.name].ndim else given[spec.name]
        else:
            raise DataError(
                f"{data}: lacks the input '{spec.name}'; it has {', '.join(sorted(given))}"
            )
        found[spec.name] = array
        problems += [f"array '{spec.name}': {p}" for p in array_problems(array, spec)]
    if not problems:
        problems += _row_problems({s.name: len(found[s.name]) for s in varying(candidate.inputs)})
    if problems:
        raise DataError("\n".join(f"{data}: {problem}" for problem in problems))
    return found


def _row_problems(rows: Mapping[str, int]) -> Iterator[str]:
    if not all(rows.values()):
        yield f"holds no rows of {', '.join(rows)}"
    elif len(set(rows.values())) > 1:
        yield f"its arrays differ in their number of rows: {dict(rows)}"


def _saved(arrays: Mapping[str, Array], folder: Path) -> dict[str, str]:
    """Input to the file that holds it."""
    paths = {}
    for index, (name, array) in enumerate(arrays.items()):
        path = folder / f"{index}.npy"
        np.save(path, array)
        paths[name] = str(path)
    return paths
