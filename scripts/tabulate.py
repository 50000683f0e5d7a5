"""Build and measure every recipe of a space in full, and keep what each step showed and cost.

python scripts/tabulate.py studies/digits/study.yaml --space studies/tables/digits.yaml

A search can then be replayed over the table in seconds: see scripts/benchmark_search.py. It takes a
few seconds a recipe; after a break the same command goes on where it was. The table is written to
``studies/tables/NAME.json.xz``.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

from tables.table import Look, Row, Setting, Table

from hamerspace.build.stages import plan_build
from hamerspace.build.store import Store, default_store_folder
from hamerspace.config.flags import override
from hamerspace.config.loading import load_study
from hamerspace.errors import HamerspaceError, MetricError, SessionError
from hamerspace.measure.protocol import MeasurementPlan
from hamerspace.measure.steps import LiveSteps
from hamerspace.outcome.measurement import Gate, Latency, Measurement
from hamerspace.recipe import Recipe
from hamerspace.search.facts import versions
from hamerspace.search.prepared import Prepared
from hamerspace.search.run_folder import RunFolder
from hamerspace.search.workbench import Workbench

FOLDER = Path(__file__).parents[1] / "studies" / "tables"


_UNKNOWN = -1.0
"""Seconds of a stage that the store had: an earlier row tells them, or, after a break, none."""


def look_counts(rows: int, batch_size: int) -> list[int]:
    """Row counts at which quality is noted: whole batches, half as many again each time."""
    counts, count = [], 50.0
    while count < rows:
        whole = -(-int(count) // batch_size) * batch_size
        if whole < rows and whole not in counts:
            counts.append(whole)
        count *= 2**0.5
    return [*counts, rows]


class Tabulator:
    """Measures recipes without gates.

    Args:
        bench: Of the study.
        folder: Receives logs.
    """

    def __init__(self, bench: Workbench, folder: RunFolder) -> None:
        self._bench = bench
        self._folder = folder

    def row(self, recipe: Recipe) -> tuple[Row, dict[str, tuple[str, float]]]:
        """A recipe's row, and the stages that were run for it."""
        bench = self._bench
        bench.start()
        log = self._folder.recipe_log(recipe, "measure.log")
        bench.measurer.expect(recipe.backend, log)
        built = bench.build(recipe)
        ran: dict[str, tuple[str, float]] = {}
        keys: list[str] = []
        try:
            stages = plan_build(
                bench.prepared.task, recipe, bench.config.search.seed, bench.prepared.target.host
            ).stages
        except HamerspaceError:
            stages = ()
        for stage in stages:
            keys.append(stage.key)
            if stage.label in built.seconds:
                ran[stage.key] = (stage.label, built.seconds[stage.label])
            elif stage.label in built.reused:
                ran[stage.key] = (stage.label, _UNKNOWN)
            else:
                keys.pop()  # the build did not get as far
        if built.candidate is None:
            failed = Measurement(Gate.BUILD, built.error, failed=True)
            return Row(recipe, tuple(keys), failed), ran
        plan = bench.plan(recipe, "search", gated=True)
        row = Row(recipe, tuple(keys), Measurement(Gate.LOAD))
        bench.settle()
        with closing(bench.measurer.steps(built.candidate, plan, log)) as steps:
            return self._measured(steps, row, plan), ran

    def _measured(self, steps: LiveSteps, row: Row, plan: MeasurementPlan) -> Row:
        """Every step of a candidate, with its seconds."""
        counts = look_counts(plan.data.rows, plan.batch_size)
        found: dict[str, Any] = {"size_mb": steps.size_mb()}
        seconds: dict[str, float] = {}
        looks: list[Look] = []
        short = None
        gate = Gate.LOAD
        reason, failed = "", False
        try:
            with _timed(seconds, "start"):
                steps.start()
            with _timed(seconds, "load"):
                found["load_time_ms"], found["peak_memory_mb"] = steps.load()
            gate = Gate.LATENCY
            with _timed(seconds, "short"):
                short = steps.latency(plan.gates.short)
            gate = Gate.QUALITY
            run_s = 0.0
            for rows in counts:
                look, run_s = self._look(steps, rows, run_s, last=rows == counts[-1])
                looks += [] if look is None else [look]
            found["quality"] = looks[-1].quality
            gate = Gate.LATENCY
            with _timed(seconds, "full"):
                found["latency"] = steps.latency(plan.gates.full)
            gate = Gate.COMPLETE
        except (SessionError, MetricError) as error:
            reason, failed = str(error), True
        measurement = Measurement(gate, reason, failed, **found)
        return Row(row.recipe, row.stages, measurement, short, tuple(looks), seconds)

    def _look(
        self, steps: LiveSteps, rows: int, run_s: float, *, last: bool
    ) -> tuple[Look | None, float]:
        started = time.monotonic()
        steps.run(rows)
        run_s += time.monotonic() - started
        started = time.monotonic()
        try:
            quality = steps.quality(rows, 0.95)
        except MetricError:
            if last:
                raise
            return None, run_s  # a class may be missing yet
        return Look(quality, run_s, time.monotonic() - started), run_s


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Note the seconds of a block, however it ends."""
    started = time.monotonic()
    try:
        yield
    finally:
        seconds[name] = time.monotonic() - started


def _read(path: Path) -> tuple[list[Row], dict[str, tuple[str, float]]]:
    """What an earlier run of this command has measured."""
    rows, stages = [], {}
    if path.exists():
        for line in path.read_text().splitlines():
            value: Mapping[str, Any] = json.loads(line)
            rows.append(Row.from_dict(value["row"]))
            note(stages, {key: (label, s) for key, (label, s) in value["ran"].items()})
    return rows, stages


def note(stages: dict[str, tuple[str, float]], ran: Mapping[str, tuple[str, float]]) -> None:
    """Add the stages of a row to those that are known."""
    for key, (label, seconds) in ran.items():
        if seconds != _UNKNOWN or key not in stages:
            stages[key] = (label, seconds)


def filled(stages: Mapping[str, tuple[str, float]]) -> dict[str, tuple[str, float]]:
    """The same, with the mean of their kind for stages whose seconds are not known."""
    known: dict[str, list[float]] = {}
    for label, seconds in stages.values():
        if seconds != _UNKNOWN:
            known.setdefault(label, []).append(seconds)
    return {
        key: (label, fmean(known.get(label, [0.0])) if seconds == _UNKNOWN else seconds)
        for key, (label, seconds) in stages.items()
    }


def rebased(row: Row, source_ms: float) -> Row:
    """The same with latencies over one latency of the source model: a break measures it anew."""

    def over(latency: Latency | None) -> Latency | None:
        if latency is None:
            return None
        scaled = latency.ratio.scaled(source_ms)
        per_s = latency.throughput_per_s * latency.latency_ms.estimate / scaled.estimate
        return replace(latency, latency_ms=scaled, throughput_per_s=per_s)

    measurement = replace(row.measurement, latency=over(row.measurement.latency))
    return replace(row, measurement=measurement, short=over(row.short))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--space", type=Path, required=True)
    parser.add_argument("--part", type=Path, help="where unfinished work is kept")
    parser.add_argument("--count", action="store_true", help="only print the number of recipes")
    arguments = parser.parse_args()
    loaded = override(load_study(arguments.study), space=str(arguments.space.resolve()))
    name = arguments.space.stem
    part = arguments.part or Path(f"{name}.part.jsonl")
    store = Store(default_store_folder())
    with tempfile.TemporaryDirectory() as scratch:
        folder = RunFolder(Path(scratch))
        with Prepared(loaded, store) as prepared, Workbench(prepared, folder) as bench:
            recipes = list(prepared.space.recipes())
            print(f"{name}: {len(recipes)} recipes", flush=True)
            if arguments.count:
                return
            rows, stages = _read(part)
            tabulator = Tabulator(bench, folder)
            done = {row.recipe.id for row in rows}
            for number, recipe in enumerate(recipes):
                if recipe.id in done:
                    continue
                started = time.monotonic()
                row, ran = tabulator.row(recipe)
                rows.append(row)
                note(stages, ran)
                with part.open("a") as stream:
                    stream.write(json.dumps({"row": row.to_dict(), "ran": ran}) + "\n")
                took_s = time.monotonic() - started
                print(f"{number} {recipe.id} {row.measurement!r} {took_s:.1f} s", flush=True)
            setting = Setting(
                loaded.config.name,
                prepared.space,
                prepared.task.info,
                prepared.constraints,
                loaded.config.objectives,
                prepared.task.metric.direction == "minimize",
                bench.source_values,
                prepared.target.environment(),
                versions(),
                datetime.now(UTC).date().isoformat(),
                prepared.task.batch_size,
                bench.first_look("search"),
            )
    used = {key for row in rows for key in row.stages}
    kept = {key: value for key, value in filled(stages).items() if key in used}
    source_ms = setting.source_values["latency"]
    measured = tuple(rebased(row, source_ms) for row in rows)
    Table(setting, measured, kept).save(FOLDER / f"{name}.json.xz")


if __name__ == "__main__":
    main()
