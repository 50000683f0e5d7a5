"""A study as the history keeps it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from hamerspace.config.study import LoadedStudy
from hamerspace.outcome.confirmed import Confirmed
from hamerspace.outcome.record import Record
from hamerspace.search.goal import Goal
from hamerspace.search.history.alike import recall
from hamerspace.search.history.entry import Entry, Setting, Tried
from hamerspace.search.history.file import HistoryFile, default_history_file
from hamerspace.search.prepared import Prepared
from hamerspace.search.warmstart import FirstTrial


def history_of(loaded: LoadedStudy) -> HistoryFile | None:
    """The user's history; ``None`` where the study wants none.

    Raises:
        ConfigError: Something else stands in its place.
    """
    if not loaded.config.search.history:
        return None
    found = HistoryFile(default_history_file())
    found.refuse_strangers()
    return found


def recall_for(
    prepared: Prepared, history: HistoryFile | None, size_mb: float | None = None
) -> tuple[FirstTrial, ...]:
    """What the history holds for a study, the most promising first.

    Args:
        prepared: Of the study.
        history: The user's.
        size_mb: Of the source model's files; default: of its weights.
    """
    if history is None:
        return ()
    size_mb = size_mb or prepared.task.info.size_bytes / 1e6
    return recall(history.read(), setting_of(prepared), prepared.space, size_mb)


def setting_of(prepared: Prepared) -> Setting:
    """What a study is about; nothing is built or measured for it."""
    info, config, host = prepared.task.info, prepared.config, prepared.host
    return Setting(
        format=info.format,
        op_families=info.op_families,
        parameters=info.parameter_count,
        hardware=config.target.hardware,
        machine=host.machine,
        gpu=host.gpu,
        threads=config.target.threads,
        batch_size=prepared.task.batch_size,
        metric=prepared.task.metric.name,
        objectives=tuple(objective.value for objective in config.objectives),
        limits=prepared.constraints.limits(),
    )


def entry_of(
    prepared: Prepared,
    identity: str,
    records: Mapping[int, Record],
    confirmed: Sequence[Confirmed],
    winner: Confirmed | None,
    goal: Goal,
) -> Entry | None:
    """A study that has ended; ``None`` where it found nothing that later ones could use.

    That is so without a winner, and without data: what is lost of quality is not known then.

    Args:
        prepared: Of the study.
        identity: Digest of what must not change between its runs.
        records: Its finished trials.
        confirmed: What was confirmed.
        winner: What was chosen.
        goal: Holds the source model's figures.
    """
    if winner is None or prepared.task.splits.synthetic:
        return None
    usable = sorted(
        (c for c in confirmed if c.rank < 2), key=lambda c: (c.number != winner.number, c.rank)
    )
    return Entry(
        name=prepared.config.name,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
        identity=identity,
        setting=setting_of(prepared),
        recipes=tuple(
            _tried(records[c.number], goal.source, winner=c.number == winner.number) for c in usable
        ),
    )


def _tried(record: Record, source: Mapping[str, float], *, winner: bool) -> Tried:
    """As the search measured it: the confirm split stays unseen, should the study come again."""
    values = record.measurement.observed()
    return Tried(
        parameters=dict(record.recipe.parameters),
        latency_ratio=values["latency"] / source["latency"],
        size_ratio=values["size"] / source["size"],
        drop_points=values["drop"],
        winner=winner,
    )
