"""A study as the plain values that its report tells."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from hamerspace._numbers import drop_unit
from hamerspace._secrets import without_passwords
from hamerspace.config.yaml_file import yaml_text
from hamerspace.constraints import violation
from hamerspace.outcome.measurement import Measurement
from hamerspace.outcome.record import Record, left_in_float_text
from hamerspace.outcome.trial import Trial
from hamerspace.quantities import BY_LIMIT, QUANTITIES, Metric
from hamerspace.recipe import Recipe
from hamerspace.report.comparison import ComparedRun
from hamerspace.report.run_data import Miss, Nearest, RunData, SourceRecord
from hamerspace.search.facts import versions
from hamerspace.search.rankings import kept_rankings
from hamerspace.search.run import Run
from hamerspace.space.describe import offered_parameters, recipe_label
from hamerspace.tasks.user_code import SESSION

_MOST_NEAREST = 3


def summarize(study: Run) -> RunData:
    """Collect a study's trials, confirmations and facts."""
    config = study.loaded.config
    facts = study.folder.read("facts.json") or {}
    stored = facts.get("precisions", {})
    records, result, state = study.records(), study.result, study.folder.read("run.json") or {}
    metric = facts.get("metric", {})
    limits = config.constraints.constraints().limits()
    start = min((r.started_s for r in records.values()), default=0.0)
    best = study.best
    trials = study.optuna_study.get_trials(deepcopy=False) if records else []
    choices = {trial.number: trial.params for trial in trials}
    return RunData(
        name=config.name,
        source=_source(study, facts),
        metric=Metric(
            metric.get("name", "quality"),
            metric.get("direction", "maximize"),
            drop_unit(metric.get("drop_unit", "points")),
        ),
        trials=tuple(
            Trial(n, recipe_label(r.recipe, stored), r, choices.get(n, {}), start)
            for n, r in records.items()
        ),
        confirmed=tuple(c for c in study.confirmed if c.number in records),
        chosen=best.number if best is not None and best.number in records else None,
        constraints=limits,
        objectives=tuple(o.value for o in config.objectives),
        source_is_best=study.nearest_to_source is not None,
        nearest=() if best is not None else _nearest(study, records, limits, stored),
        confirm_rows=facts.get("rows", {}).get("confirm"),
        warnings=_warnings(facts, study),
        notes=_notes(facts, study, records),
        smallest_drop=facts.get("smallest_drop"),
        environment=_environment(study, facts),
        command=without_passwords(state.get("command", "")),
        study_yaml=_study_yaml(study),
        only_backends=tuple(state.get("identity", {}).get("backends") or ()),
        trust_pickle=study.loaded.trust_pickle,
        session_metric=(config.task.quality.metric or "").startswith(f"{SESSION}:"),
        stopped_because=result.get("stopped_because", ""),
        sensitivity={
            recipe_label(Recipe(ranking.parameters), stored): ranking.layers
            for ranking in kept_rankings(study.folder)
        },
        depends_on=_depends_on({name for chosen in choices.values() for name in chosen}),
    )


def _depends_on(names: AbstractSet[str]) -> dict[str, tuple[str, ...]]:
    offers = offered_parameters()
    found = {
        name: {parent for condition in offers[name].when for parent in condition.parameters}
        for name in sorted(names & offers.keys())
    }
    return {name: tuple(sorted(parents & names)) for name, parents in found.items()}


def _source(study: Run, facts: Mapping[str, Any]) -> SourceRecord:
    about = facts.get("source", {})
    described = {
        "format": about.get("format"),
        "parameters": f"{about['parameters']:,}" if about else None,
        "layers": ", ".join(about.get("op_families", [])),
        "inputs": "; ".join(about.get("inputs", [])),
        "outputs": "; ".join(about.get("outputs", [])),
    }
    measurement = study.source
    values = {} if measurement is None else measurement.values()
    again = next((c.measurement.quality for c in study.confirmed if c.measurement.quality), None)
    return SourceRecord(
        f"source ({about.get('format', 'model')})",
        values,
        {**values, **_beside(study), "quality": again.source_value} if again else {},
        {k: str(v) for k, v in described.items() if v},
    )


def _beside(study: Run) -> dict[str, float | None]:
    """What the source model took in the processes beside those that the best was timed in.

    The figure of the search's start is of one process, and another hour: beside the best's it would
    give another ratio than the one that is told.
    """
    shown = study.best or study.nearest_to_source
    latency = None if shown is None else shown.measurement.latency
    if shown is None or latency is None or latency.processes == 1:
        return {}
    found: dict[str, float | None] = {
        "throughput_per_s": latency.throughput_per_s * latency.ratio.estimate
    }
    for quantity in QUANTITIES:
        own, ratio = shown.measurement.interval(quantity), shown.measurement.ratio(quantity)
        if quantity.ends and own is not None and ratio is not None:
            found[quantity.key] = own.estimate / ratio.estimate
            found |= dict.fromkeys(quantity.ends)
    return found


def _nearest(
    study: Run,
    records: Mapping[int, Record],
    limits: Mapping[str, float],
    stored: Mapping[str, str],
) -> tuple[Nearest, ...]:
    """What comes nearest to the source model, or the built candidates that miss least in total."""
    near = study.nearest_to_source
    if near is not None and near.number in records:
        label = recipe_label(records[near.number].recipe, stored)
        return (Nearest(label, near.number, {}),)
    confirmed = {c.number: c.measurement for c in study.confirmed}
    found = []
    for number, record in records.items():
        seen = confirmed.get(number, record.measurement)
        if record.reused_from is not None or seen.failed:
            continue
        values = seen.observed()
        misses = {
            name: Miss(value, limit)
            for name, limit in limits.items()
            if (value := values.get(BY_LIMIT[name].name)) is not None and value > limit
        }
        if misses:
            found.append(Nearest(recipe_label(record.recipe, stored), number, misses))
    found.sort(key=lambda near: (_in_total(near), near.number))
    return tuple(found[:_MOST_NEAREST])


def _in_total(near: Nearest) -> float:
    return sum(violation(miss.value, miss.limit) for miss in near.misses.values())


def _notes(facts: Mapping[str, Any], study: Run, records: Mapping[int, Record]) -> tuple[str, ...]:
    found = list(facts.get("notes", []))
    space = facts.get("space", {})
    if space.get("why"):
        found.append(f"The space is '{space['name']}', since {space['why']}.")
    found += [
        f"{', '.join(map(str, mask['values']))} is left out: {mask['reason']}."
        for mask in facts.get("masks", [])
        if mask["parameter"] == "backend"
    ]
    found += [
        f"Trial {c.number}: {left}."
        for c in study.confirmed
        if c.number in records
        and (left := left_in_float_text(records[c.number].evaluation.left_in_float))
    ]
    return tuple(found)


def _warnings(facts: Mapping[str, Any], study: Run) -> tuple[str, ...]:
    found = list(facts.get("warnings", []))
    found += [
        f"Trial {c.number}: {c.measurement.quality.note}"
        for c in study.confirmed
        if c.measurement.quality is not None and c.measurement.quality.note
    ]
    source = study.source
    if source is not None and source.latency is not None and _rests_on_cpu_time(source):
        found.append(
            "The machine was busy while the source model was measured (wall over CPU time "
            f"{source.latency.wall_over_cpu:.2f}): its latency rests on CPU time."
        )
    busy = [c for c in study.confirmed if _rests_on_cpu_time(c.measurement)]
    if busy:
        found.append(
            f"The machine was busy during {len(busy)} of {len(study.confirmed)} confirmations: "
            "those latencies rest on CPU time."
        )
    return tuple(found)


def _rests_on_cpu_time(measurement: Measurement) -> bool:
    return measurement.latency is not None and measurement.latency.basis == "cpu"


def _environment(study: Run, facts: Mapping[str, Any]) -> dict[str, str]:
    """The device, and the versions as they were when the search last began."""
    saved = study.folder.read("source.json") or {}
    return {**saved.get("environment", {}), **(facts.get("versions") or versions())}


def compared_run(study: Run, folder: str) -> ComparedRun:
    """A study as one side of a comparison.

    Args:
        study: The study.
        folder: Its folder, as it is to be named.
    """
    result = study.result
    state = study.folder.read("run.json") or {}
    return ComparedRun(
        folder,
        summarize(study),
        bool(result) and result["finished"] == len(study.records()),
        dict(_flat(study.loaded.config.model_dump(mode="json", exclude={"name"}))),
        state.get("identity", {}),
        result.get("search_s"),
        result.get("confirm_s"),
    )


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted key to value; empty mappings are left out."""
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _flat(inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", inner


def _study_yaml(study: Run) -> str:
    """The study with what flags and arguments changed, as a file that can be searched again."""
    config = study.loaded.config
    budget = config.budget.model_copy(
        update={"trials": study.result.get("trials", config.budget.trials)}
    )
    value = config.model_copy(update={"budget": budget}).model_dump(
        mode="json", exclude_defaults=True
    )
    value.setdefault("search", {})["seed"] = config.search.seed
    text = yaml_text(value)
    return f"# Relative paths start from {study.loaded.root}\n{text}"
