"""Runs side by side: what each found, in what they differ, and what of it does not compare."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hamerspace import _numbers
from hamerspace.quantities import BY_LIMIT
from hamerspace.report.pareto import allowance_of, hypervolume_progress, pareto_front
from hamerspace.report.run_data import RunData, Values
from hamerspace.report.verdict import counted

_MACHINE = ("processor", "cores", "memory", "gpu", "threads per inference")
_CONTENTS = {
    "task (model, data or metric)": ("task.", "content of the model, the data or code beside them"),
    "space": ("space", "content of the space"),
}
"""Digest to the settings that tell a difference by themselves, and to words for one they do not."""


@dataclass(frozen=True)
class ComparedRun:
    """One run as a comparison takes it.

    Attributes:
        folder: Where it lies, as the user named it.
        run: What its report tells.
        finished: Whether it ended with its budget spent, its confirmation included.
        settings: What the study file says, dotted key to value.
        digests: Section to the digest of what must stay the same within a study.
        search_s: Wall seconds of all trials; ``None`` before the search ended.
        confirm_s: Wall seconds of the last confirmation.
    """

    folder: str
    run: RunData
    finished: bool
    settings: Mapping[str, Any] = field(default_factory=dict)
    digests: Mapping[str, Any] = field(default_factory=dict)
    search_s: float | None = None
    confirm_s: float | None = None

    @property
    def state(self) -> str:
        """How far it came, in a few words."""
        if self.finished:
            return "finished"
        if not self.run.trials:
            return "no trial has finished yet"
        told = f"half-finished: {counted(len(self.run.trials), 'trial')}"
        if self.run.confirmed:
            return f"{told}, confirmed before the last of them"
        return f"{told}, none confirmed"


@dataclass(frozen=True)
class Difference:
    """A setting in which runs differ; a value for each, ``None`` where a run has none."""

    name: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Comparison:
    """What a comparison comes to.

    Attributes:
        runs: In the order given.
        rows: Head of a row to its text for each run.
        hypervolumes: Of each run, with one reference for all; ``None`` where the objectives differ
            or nothing was measured.
        differences: In the settings, the versions and the machine.
        warnings: What figures do not compare, and why.
    """

    runs: tuple[ComparedRun, ...]
    rows: Mapping[str, tuple[str, ...]]
    hypervolumes: tuple[float | None, ...]
    differences: tuple[Difference, ...]
    warnings: tuple[str, ...]


def compare(runs: Sequence[ComparedRun]) -> Comparison:
    """Set two or more runs side by side."""
    hypervolumes = _hypervolumes(runs)
    return Comparison(
        tuple(runs),
        {head: tuple(text(run) for run in runs) for head, text in _ROWS.items()}
        | {"hypervolume": tuple(_numbers.number(value) for value in hypervolumes)},
        hypervolumes,
        tuple(_differences(runs)),
        tuple(_warnings(runs)),
    )


def _winner(key: str) -> Callable[[ComparedRun], str]:
    """Text of one of the winner's values; quality and drop without the interval."""

    def text(compared: ComparedRun) -> str:
        run = compared.run
        if run.winner is None:
            return _numbers.ABSENT
        values: Values = run.winner.measurement.values()
        if key in ("latency_ms", "size_mb"):
            source: Values = run.source.latest
            return _numbers.measured(key, values, source)
        return _numbers.figure(key, values, run.metric)

    return text


def _source(key: str) -> Callable[[ComparedRun], str]:
    def text(compared: ComparedRun) -> str:
        run = compared.run
        return _numbers.with_unit(key, run.source.latest.get(key), run.metric)

    return text


def _limits(compared: ComparedRun) -> str:
    run = compared.run
    texts = [
        f"{_numbers.limit_title(name)} {_numbers.limit_value(name, value, run.metric)}"
        for name, value in run.constraints.items()
    ]
    return ", ".join(texts) or "none"


def _verdicts(compared: ComparedRun) -> str:
    winner = compared.run.winner
    if winner is None or not winner.verdicts:
        return _numbers.ABSENT
    return ", ".join(f"{_numbers.limit_title(n)} {v}" for n, v in winner.verdicts.items())


def _seconds(compared: ComparedRun) -> str:
    if compared.search_s is None:
        trials = compared.run.trials
        return _numbers.duration(max(t.finished_s for t in trials)) if trials else _numbers.ABSENT
    text = _numbers.duration(compared.search_s)
    if compared.confirm_s is not None:
        text += f" + {_numbers.duration(compared.confirm_s)} confirming"
    return text


_ROWS: dict[str, Callable[[ComparedRun], str]] = {
    "study": lambda c: c.run.name,
    "state": lambda c: c.state,
    "source": lambda c: (
        ", ".join(
            f"{c.run.source.description[k]} {word}".strip()
            for k, word in (("format", ""), ("parameters", "parameters"))
            if k in c.run.source.description
        )
        or _numbers.ABSENT
    ),
    "source latency": _source("latency_ms"),
    "source size": _source("size_mb"),
    "source quality": _source("quality"),
    "metric": lambda c: c.run.metric.name,
    "limits": _limits,
    "winner": lambda c: c.run.labels[c.run.winner.number] if c.run.winner else "none",
    "winner latency": _winner("latency_ms"),
    "winner size": _winner("size_mb"),
    "winner quality": _winner("quality"),
    "winner drop": _winner("drop_points"),
    "winner memory": _winner("memory_mb"),
    "limits kept": _verdicts,
    "trials": lambda c: (
        f"{len(c.run.trials):,}, {sum(t.feasible for t in c.run.trials):,} feasible"
    ),
    "time": _seconds,
    "front": lambda c: f"{len(pareto_front(c.run)):,} candidates",
}


def _hypervolumes(runs: Sequence[ComparedRun]) -> tuple[float | None, ...]:
    """Shares of one and the same box, so that they compare."""
    if len({compared.run.objectives for compared in runs}) > 1:
        return (None,) * len(runs)
    allowance = max(allowance_of(compared.run) for compared in runs)
    found = [hypervolume_progress(compared.run, allowance) for compared in runs]
    return tuple(progress[-1][1] if progress else None for progress in found)


def _differences(runs: Sequence[ComparedRun]) -> Iterator[Difference]:
    told = list(_differing([compared.settings for compared in runs]))
    yield from told
    for name, (prefix, words) in _CONTENTS.items():
        values = tuple(compared.digests.get(name) for compared in runs)
        if len(set(values)) > 1 and not any(d.name.startswith(prefix) for d in told):
            yield Difference(words, tuple(value and str(value)[:12] for value in values))
    backends = tuple(str(compared.digests.get("backends") or "all") for compared in runs)
    if len(set(backends)) > 1:
        yield Difference("--backends", backends)
    environments = [c.run.environment for c in runs]
    yield from (d for d in _differing(environments) if d.name != "load average")


def _differing(mappings: Sequence[Mapping[str, Any]]) -> Iterator[Difference]:
    for name in dict.fromkeys(key for mapping in mappings for key in mapping):
        values = tuple(mapping.get(name) for mapping in mappings)
        if any(value != values[0] for value in values):
            yield Difference(name, values)


def _warnings(runs: Sequence[ComparedRun]) -> Iterator[str]:
    for compared in runs:
        if not compared.finished:
            yield f"{compared.folder} is not finished ({compared.state}): its figures may change."
    # Of a run that was ended before it measured its source, machine and metric are not known.
    measured = [c for c in runs if c.run.source.values]
    machines = [[c.run.environment.get(key) for key in _MACHINE] for c in measured]
    if any(machine != machines[0] for machine in machines):
        yield (
            "The runs were measured on different machines or with different threads: latency, "
            "memory and throughput do not compare; ratios to the source only roughly."
        )
    metrics = {(c.run.metric.name, c.run.metric.drop_unit) for c in measured}
    tasks = {str(c.digests.get("task (model, data or metric)")) for c in runs}
    if len(metrics) > 1:
        yield "The metrics differ: quality and drops do not compare."
    elif len(tasks) > 1:
        yield (
            "The tasks differ (model, data or the code beside them): quality is of other rows or "
            "of another model, and does not compare unless you know that the data are the same."
        )
    if len({c.settings.get("task.batch_size") for c in runs}) > 1:
        yield "The batch sizes differ: latencies are of batches of different sizes."
    if len({c.run.objectives for c in runs}) > 1:
        yield "The objectives differ: the fronts do not compare, and there is no hypervolume."
    elif names := [
        name for name in BY_LIMIT if len({c.run.constraints.get(name) for c in runs}) > 1
    ]:
        titles = ", ".join(sorted(map(_numbers.limit_title, names)))
        yield f"The limits differ ({titles}): what counts as feasible is not the same."
