"""Ways of searching a table, ours and Optuna's own, each run on the virtual clock."""

import contextlib
import random
import time
import warnings
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import optuna
from optuna.samplers import (
    BaseSampler,
    GPSampler,
    NSGAIISampler,
    RandomSampler,
    TPESampler,
)

from hamerspace.outcome.record import Record
from hamerspace.recipe import Recipe
from hamerspace.search.ledger import Ledger
from hamerspace.search.loop import SearchLoop
from hamerspace.search.proposal import Proposal, Proposer
from hamerspace.search.stop import Budget
from hamerspace.search.surrogate.proposer import Settings, Surrogate
from hamerspace.search.warmstart import FirstTrial, first_trials

from .progress import Reach, goal_of
from .replay import Replay, VirtualClock, gates_of
from .table import Setting, Table


class _Stock:
    """Leaves every choice to the sampler."""

    def propose(self, records: Mapping[int, Record]) -> Proposal | None:  # noqa: ARG002
        return None


class _PlainLedger(Ledger):
    """Tells the sampler of every trial, as Optuna does."""

    def _teaches(self, record: Record) -> bool:  # noqa: ARG002
        return True


@dataclass(frozen=True)
class Strategy:
    """A way of searching.

    Attributes:
        name: For people.
        sampler: Class of Optuna's sampler, called with a seed.
        thrifty: Whether trials end once their fate is clear, build stages are shared, and a recipe
            that is met again is not evaluated again; else each trial is built and measured in full.
        first: How many of the ranked first trials begin the search; ``None`` for all of them.
        ranked: Whether the known ones among them stand in the order of what is expected of them.
        settings: Of our own proposer; ``None`` leaves every choice to the sampler.
        fills: Whether, after a suggestion of the sampler that was met before, the next trial takes
            a recipe that was not.
        loop: Tells the sampler what trials came to.
    """

    name: str
    sampler: Callable[..., BaseSampler] = RandomSampler
    thrifty: bool = False
    first: int | None = 0
    ranked: bool = True
    settings: Settings | None = None
    fills: bool = False
    loop: type[SearchLoop] = SearchLoop


STOCK = (
    Strategy("random"),
    Strategy("nsgaii", NSGAIISampler),
    Strategy("tpe", TPESampler),
    Strategy("tpe group", partial(TPESampler, multivariate=True, group=True)),
    Strategy("gp", GPSampler),
)
"""Optuna's samplers as they are, over trials that are each evaluated in full."""

THRIFTY_RANDOM = Strategy("random, thrifty", thrifty=True)
"""Random search with all that makes a trial cheap: what is left is the choice of recipes."""

OURS = Strategy("hamerspace", thrifty=True, first=None, settings=Settings())


@dataclass
class Course:
    """How one search went.

    Attributes:
        shares: Share of the exhaustive hypervolume after each trial.
        seconds: Virtual seconds after each trial.
        builds: Number of evaluations; a repeat counts where it is evaluated again.
        repeats: Trials that met a recipe again.
        sampling_s: Real seconds that choosing took.
    """

    shares: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    builds: int = 0
    repeats: int = 0
    sampling_s: float = 0.0

    def share_after(self, seconds: float) -> float:
        """Share reached within so many virtual seconds."""
        done = bisect_right(self.seconds, seconds)
        return self.shares[done - 1] if done else 0.0

    def reached(self, share: float) -> tuple[int, float] | None:
        """Trials and virtual seconds until the share was reached."""
        for index, found in enumerate(self.shares):
            if found >= share:
                return index + 1, self.seconds[index]
        return None


class _Enough(Exception):  # noqa: N818 - no error
    """The search has reached all that was asked of it."""


class _Watcher:
    """Notes the course of a search and ends it when it has reached the share."""

    def __init__(self, reach: Reach, replay: Replay, share: float, *, thrifty: bool) -> None:
        self.course = Course()
        self._reach = reach
        self._replay = replay
        self._until = share
        self._thrifty = thrifty

    def phase(self, text: str) -> None:
        """Nothing is noted here."""

    def trial_started(self, number: int | None, recipe: Recipe, origin: str) -> None:
        """Nothing is noted here."""

    def trial_finished(self, number: int, record: Record) -> None:  # noqa: ARG002
        course = self.course
        if record.reused_from is not None and not self._thrifty:
            self._replay(record.recipe)
        course.repeats += record.reused_from is not None
        course.shares.append(self._reach.add(record.evaluation))
        course.seconds.append(self._replay.clock.now_s)
        if course.shares[-1] >= self._until:
            raise _Enough


class _TableStages:
    def __init__(self, table: Table, replay: Replay) -> None:
        self._table = table
        self._replay = replay

    def missing(self, recipe: Recipe) -> Sequence[str]:
        stages = self._table.row(recipe).stages
        return [self._table.stages[key][0] for key in stages if not self._replay.has(key)]

    def known_to_fail(self, recipe: Recipe) -> bool:  # noqa: ARG002 - a failure costs little here
        return False


def _first(setting: Setting, strategy: Strategy, seed: int) -> Sequence[FirstTrial]:
    """Our own search never does without baselines and defaults, what is known comes after them."""
    found = first_trials(setting.space, setting.source, setting.constraints)
    surely = [entry for entry in found if entry.origin != "known"]
    known = [entry for entry in found if entry.origin == "known"]
    if not strategy.ranked:
        random.Random(seed).shuffle(known)  # noqa: S311 - not for secrets
    if strategy.first is None:
        return [*surely, *known]
    if strategy.settings is None:
        return [*surely, *known][: strategy.first]
    return [*surely, *known[: strategy.first]]


def run(
    table: Table, reach: Reach, strategy: Strategy, seed: int, trials: int, share: float = 2.0
) -> Course:
    """Search a table.

    Args:
        table: What is searched.
        reach: Of the table; it is begun anew.
        strategy: How.
        seed: Of the sampler.
        trials: Most trials.
        share: Of the exhaustive hypervolume at which to end.
    """
    clock, setting = VirtualClock(), table.setting
    reach.forget()
    gates = replace(gates_of(table), gated=strategy.thrifty)
    replay = Replay(table, clock, gates, shares_stages=strategy.thrifty)
    goal = goal_of(setting)
    watcher = _Watcher(reach, replay, share, thrifty=strategy.thrifty)
    first = _first(setting, strategy, seed)
    proposer: Proposer | None = None if strategy.fills else _Stock()
    if strategy.settings is not None:
        stages = _TableStages(table, replay)
        proposer = Surrogate(setting.space, goal, stages, seed, strategy.settings)
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        names = [objective.quantity.key for objective in goal.objectives]
        book = Ledger if strategy.thrifty else _PlainLedger
        ledger = book(None, "replay", goal.directions, names, lambda _: strategy.sampler(seed=seed))
        loop = strategy.loop(ledger, setting.space, replay, goal, first, watcher, seed, proposer)
        with contextlib.suppress(_Enough):
            loop.run(Budget(trials))
    course = watcher.course
    course.builds = replay.builds
    course.sampling_s = time.perf_counter() - started
    return course
