"""An Optuna study whose storage only ever sees finished trials.

The sampler works on a copy in memory, and each finished trial goes to the storage in one
transaction, while the next is under way. A process that dies leaves nothing RUNNING and nothing
half-told, the sampler reads no database (an order of magnitude faster), and several processes may
share one storage: each takes in the others' finished trials before it asks, and writes its own at
once.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from hamerspace._optuna import (
    add_trial,
    open_study,
    sampler_attributes,
    what_it_lacks,
    with_sorted_attributes,
)
from hamerspace._secrets import without_passwords
from hamerspace.errors import RunFolderError
from hamerspace.outcome.record import Record
from hamerspace.recipe import Scalar
from hamerspace.search.writer import Writer

Direction = Literal["minimize", "maximize"]

RECORD_KEY = "hamerspace"
_IDENTITY = "hamerspace.identity"
_CHOICES = "hamerspace.choices"


class Ledger:
    """The finished trials of a study, and a sampler that has seen them.

    Args:
        url: Optuna storage URL; ``None`` keeps the study in memory, for simulations.
        name: Of the study, within the storage.
        directions: ``minimize`` or ``maximize`` for each objective.
        metric_names: Of the objectives, with their units.
        sampler: Makes the sampler from the number of trials that there are: a resumed sampler
            with the same seed would draw the same recipes again.
        identity: Of what must not change between runs; a shared storage may hold a study of the
            same name for another model.
        choices: Of what can be chosen, for the same reason: the runtimes or the processor of who
            shares the storage may leave other choices, and samplers do not take that.
        shared: Whether other processes may add trials meanwhile.

    Raises:
        RunFolderError: The storage holds another study of this name, or cannot be opened.
    """

    def __init__(
        self,
        url: str | None,
        name: str,
        directions: Sequence[Direction],
        metric_names: Sequence[str],
        sampler: Callable[[int], BaseSampler],
        *,
        identity: str = "",
        choices: str = "",
        shared: bool = False,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        with _readable(url):
            self.kept = open_study(url, name, directions)
        other = self._told_apart(directions, identity, choices)
        if other:
            raise RunFolderError(
                f"storage {_shown(url)} holds a study '{name}' {other} give this study another name"
            )
        self._shared = shared
        self._records: dict[int, Record] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            with _readable(url):
                # Reading a run must not write to it.
                if self.kept.metric_names != list(metric_names):
                    self.kept.set_metric_names(list(metric_names))
                if _IDENTITY not in self.kept.user_attrs:
                    self.kept.set_user_attr(_IDENTITY, identity)
                self._take_in()
                if choices and _CHOICES not in self.kept.user_attrs and not self._records:
                    self.kept.set_user_attr(_CHOICES, choices)
            self._work = optuna.create_study(
                directions=list(directions), sampler=sampler(len(self._records))
            )
        with _readable(url):
            self._work.add_trials(self._teaching(self._finished()))
            there = len(self.kept.get_trials(deepcopy=False))
        self._writer = None if url is None or shared else Writer(self.kept, there)

    def _told_apart(self, directions: Sequence[Direction], identity: str, choices: str) -> str:
        """What makes the study that the storage holds another one; empty where it is this one."""
        attributes = self.kept.user_attrs
        if [direction.name.lower() for direction in self.kept.directions] != list(directions):
            return "with other objectives;"
        if _IDENTITY not in attributes and self.kept.get_trials(deepcopy=False):
            return "that Hamerspace did not make;"
        if attributes.get(_IDENTITY, identity) != identity:
            return "with another model, data, space or limits;"
        if choices and attributes.get(_CHOICES, choices) != choices:
            return (
                "whose figures would not compare: its processes have other runtimes, another "
                "processor or other data; install what they have ('hamerspace backends' tells), or"
            )
        return ""

    @property
    def records(self) -> Mapping[int, Record]:
        """Trial number to what it came to."""
        return self._records

    @property
    def next_number(self) -> int | None:
        """Of the trial that finishes next; ``None`` where other processes add trials meanwhile."""
        if self._shared:
            return None
        if self._writer is None:
            return len(self.kept.get_trials(deepcopy=False))
        return self._writer.count

    def refresh(self) -> None:
        """Take in what other processes have finished, where there are such."""
        if self._shared:
            self.take_in()

    def take_in(self) -> None:
        """Take in what other processes have finished."""
        self._work.add_trials(self._teaching(self._take_in()))

    def ask(self, given: Mapping[str, Scalar] | None) -> Trial:
        """A trial that suggests ``given``, or what the sampler thinks best."""
        if given is not None:
            self._work.enqueue_trial(dict(given))
        return self._work.ask()

    def finish(self, trial: Trial, values: Sequence[float], record: Record) -> int:
        """Tell the sampler, begin to write the trial, and return its number in the storage.

        A recipe that was met again taught the sampler all it can the first time; repeated, it
        would only pull the sampler to where it has been.
        """
        kept = create_trial(
            values=list(values),
            params=trial.params,
            distributions=trial.distributions,
            system_attrs=sampler_attributes(self._work, trial.number),
            user_attrs={RECORD_KEY: record.to_json()},
        )
        kept.datetime_start = trial.datetime_start
        for name, value in sorted(record.violations.items()):
            kept.set_constraint(name, value)
            trial.set_constraint(name, value)
        if record.reused_from is None:
            self._work.tell(trial, list(values))
        else:
            self._work.tell(trial, state=TrialState.FAIL)
        writer = self._writer
        number = add_trial(self.kept, kept) if writer is None else writer.add(kept)
        self._records[number] = record
        return number

    def settle(self) -> None:
        """Return when every trial is in the storage."""
        if self._writer is not None:
            self._writer.wait()

    def _finished(self) -> list[FrozenTrial]:
        trials = self.kept.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return [with_sorted_attributes(trial) for trial in trials]

    def _teaching(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Those of which the sampler is told: no repetitions."""
        return [t for t in trials if self._records[t.number].reused_from is None]

    def _take_in(self) -> list[FrozenTrial]:
        """The trials of the storage that are new here."""
        new = [trial for trial in self._finished() if trial.number not in self._records]
        self._records.update({trial.number: _record_of(trial) for trial in new})
        return new


@contextmanager
def _readable(url: str | None) -> Iterator[None]:
    """Tell what is wrong with a storage, without the SQL that met it."""
    try:
        yield
    except Exception as error:
        lacks = "" if url is None else what_it_lacks(url)
        if lacks:
            raise RunFolderError(f"storage {_shown(url)} cannot be opened: {lacks}") from error
        cause = getattr(error, "orig", None) or error.__cause__ or error
        cause = getattr(cause, "orig", None) or cause
        raise RunFolderError(
            f"storage {_shown(url)} cannot be read, it is damaged or no Optuna "
            f"storage: {cause}; restore it, or start over in another folder (--out) "
            "or storage (--storage)"
        ) from error


def _shown(url: str | None) -> str:
    return "in memory" if url is None else without_passwords(url)


def _record_of(trial: FrozenTrial) -> Record:
    """The record that a finished trial carries.

    Raises:
        ValueError: It carries none, or one that is damaged.
    """
    text = trial.user_attrs.get(RECORD_KEY)
    if not isinstance(text, str):
        raise ValueError(f"trial {trial.number} carries no record of Hamerspace's")  # noqa: TRY004
    try:
        return Record.from_json(text)
    except ValueError as error:
        raise ValueError(f"the record of trial {trial.number}: {error}") from error
