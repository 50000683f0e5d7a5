"""What a search would try first, and what it leaves out, told without building anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hamerspace.backends import BACKENDS
from hamerspace.build.store import Store
from hamerspace.config.space import SpaceConfig
from hamerspace.config.study import LoadedStudy
from hamerspace.constraints import Constraints
from hamerspace.recipe import Mask, Scalar
from hamerspace.search.caution import smallest_of_hits, too_few_rows
from hamerspace.search.history.studies import history_of, recall_for
from hamerspace.search.prepared import Prepared
from hamerspace.search.warmstart import FORESEEN, FirstTrial, expected_misses, first_trials
from hamerspace.space.describe import recipe_label, stored_precisions
from hamerspace.tasks.model import SourceInfo
from hamerspace.tasks.task import Task


@dataclass(frozen=True)
class Planned:
    """One of the first recipes, and what to expect of it.

    Attributes:
        label: Short name of the recipe that would be tried.
        recipe_id: Its id.
        parameters: Its parameters.
        origin: ``baseline``, ``default``, ``history`` or ``known``.
        default_of: The single tool whose own default it is; empty where it is none.
        learned_from: The earlier study that found it; empty where none did.
        latency_ratio: Expected latency over that of the source model.
        size_ratio: Expected size over that of the source model.
        drop_points: Expected loss of quality, in points.
        misses: Limit to the value that is expected to miss it, in the limit's unit.
    """

    label: str
    recipe_id: str
    parameters: Mapping[str, Scalar]
    origin: str
    default_of: str
    learned_from: str
    latency_ratio: float
    size_ratio: float
    drop_points: float
    misses: Mapping[str, float]


@dataclass(frozen=True)
class Plan:
    """A search before it begins.

    Attributes:
        source: The inspected model.
        space: Name of the space.
        space_reason: Why ``auto`` took it; empty where the study names one.
        recipes: Number of distinct recipes; ``None`` where a range is continuous.
        first: The first recipes in the order in which they would be tried.
        masks: What the space lists and this model or this machine rules out.
        constraints: The limits.
        judged: The limits of which the expectations say anything.
        warnings: What nobody may overlook, such as that there are no data.
        notes: What else to know of the data.
        judged_by: The metric and the output.
    """

    source: SourceInfo
    space: str
    space_reason: str
    recipes: int | None
    first: tuple[Planned, ...]
    masks: tuple[Mask, ...]
    constraints: Constraints
    judged: tuple[str, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    judged_by: str


def plan_search(loaded: LoadedStudy, store: Store, backends: tuple[str, ...] | None = None) -> Plan:
    """Read the model and the data of a study and tell what a search would begin with.

    Nothing is built or measured. The expectations are what the backends know of recipes of this
    kind, or what an earlier study found; both were measured on other models.

    Raises:
        HamerspaceError: The model, the data or the space is wrong.
    """
    history = history_of(loaded)
    with Prepared(loaded, store, backends) as prepared:
        task, space, limits = prepared.task, prepared.space, prepared.constraints
        info = task.info
        recalled = recall_for(prepared, history)
        first = first_trials(space, info, limits, recalled)
        own_ratio = _own_ratio(first, prepared.source.backend)
        return Plan(
            info,
            space.name,
            prepared.space_reason,
            space.count(),
            tuple(_planned(entry, info, limits, own_ratio) for entry in first),
            tuple(m for m in space.masks if _is_listed(m, prepared.space_config)),
            limits,
            tuple(name for name in limits.limits() if name in FORESEEN),
            (*task.splits.warnings, *_cautions(task, limits.max_accuracy_drop)),
            task.splits.notes,
            _judged_by(task),
        )


def _judged_by(task: Task) -> str:
    names = [repr(spec.name) for spec in task.looked_at(task.metric)]
    return f"{task.metric.name} of output{'s' * (len(names) > 1)} {', '.join(names)}"


def _cautions(task: Task, limit: float | None) -> list[str]:
    """That too few rows confirm, as far as the number of rows alone tells.

    Without labels the outputs decide on agreement, and nothing has run yet.
    """
    if task.quality.metric is None and task.metric.name == "agreement":
        return []
    least = smallest_of_hits(task.metric, task.splits.rows["confirm"])
    if limit is None or least is None or least <= limit:
        return []
    return [too_few_rows(task.splits.rows["confirm"], limit, least)]


def _own_ratio(first: Sequence[FirstTrial], backend: str) -> float:
    """What the backends expect of the source model as its own runtime runs it.

    They count from PyTorch without compilation. A PyTorch model runs like that; of any other
    format that a backend takes as it is, its baseline is the source model itself.
    """
    if BACKENDS.load(backend).model_formats[0] == "pytorch":
        return 1.0
    own = (e for e in first if e.origin == "baseline" and e.recipe.backend == backend)
    return next((e.expected.latency_ratio for e in own if e.expected), 1.0)


def _planned(
    entry: FirstTrial, source: SourceInfo, constraints: Constraints, own_ratio: float
) -> Planned:
    expected = entry.expected
    assert expected is not None
    # What a study found was a ratio to its own source.
    latency_ratio = expected.latency_ratio / (1.0 if entry.learned_from else own_ratio)
    size_mb = expected.size_ratio * source.size_bytes / 1e6
    return Planned(
        recipe_label(entry.recipe, stored_precisions(source)),
        entry.recipe.id,
        entry.recipe.parameters,
        entry.origin,
        entry.default_of,
        entry.learned_from,
        latency_ratio,
        expected.size_ratio,
        expected.drop_points,
        expected_misses(size_mb, expected.drop_points, constraints.limits()),
    )


def _is_listed(mask: Mask, config: SpaceConfig) -> bool:
    """Whether the space lists what is masked: nobody misses what was not asked for."""
    declared = config.parameters.get(mask.parameter)
    if declared is None:
        return False
    return declared.choices is None or any(mask.covers(value) for value in declared.choices)
