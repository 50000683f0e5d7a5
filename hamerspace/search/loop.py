"""The trial loop."""

import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from optuna.trial import Trial

from hamerspace.constraints import penalty
from hamerspace.outcome.record import Evaluation, Record, judge
from hamerspace.recipe import Recipe
from hamerspace.search.goal import Goal
from hamerspace.search.ledger import Ledger
from hamerspace.search.proposal import Proposal, Proposer
from hamerspace.search.stop import Budget, GainWatch, Stop, exhausted
from hamerspace.search.warmstart import FirstTrial
from hamerspace.space.space import Space

logger = logging.getLogger(__name__)


class Evaluator(Protocol):
    """Builds and measures; the loop knows nothing else of the world."""

    def __call__(self, recipe: Recipe, *, always_timed: bool = False) -> Evaluation:
        """Evaluate ``recipe``; its failures are part of the result.

        Args:
            recipe: What to build.
            always_timed: Whether to time it even where it loses too much of the quality.
        """
        ...


class StudyListener(Protocol):
    """Is told how a study goes on, for progress displays.

    A trial has no number yet as it starts where other processes add trials meanwhile; nor has a
    recipe that starts to be confirmed, which no trial finishes.
    """

    def trial_started(self, number: int | None, recipe: Recipe, origin: str) -> None: ...

    def trial_finished(self, number: int, record: Record) -> None: ...

    def phase(self, text: str) -> None:
        """A new part of the work has begun."""


@dataclass(eq=False)
class SearchLoop:
    """Suggests, evaluates and tells until the budget is spent or every recipe is seen.

    Attributes:
        ledger: The study.
        space: What to search.
        evaluate: Builds and measures.
        goal: What to improve and keep.
        first: Recipes to try before any sampling.
        listener: Is told of every trial.
        seed: Of the draws among recipes that were not met.
        proposer: Chooses after the first; without one the study's sampler does.
        known_to_fail: Tells of which of the first there is nothing to be learnt.
    """

    ledger: Ledger
    space: Space
    evaluate: Evaluator
    goal: Goal
    first: Sequence[FirstTrial]
    listener: StudyListener
    seed: int
    proposer: Proposer | None = None
    known_to_fail: Callable[[Recipe], bool] = lambda _: False

    def __post_init__(self) -> None:
        self._entries = {entry.recipe.id: entry for entry in self.first}
        self._seen: dict[str, int] = {}
        self._count = self.space.count()
        self._random = random.Random(self.seed)  # noqa: S311 - not for secrets
        self._met_again: Recipe | None = None

    def run(self, budget: Budget) -> Stop:
        """Go on until the budget is spent or nothing is left to try; return why it stopped.

        However it ends, what was finished is in the storage then.
        """
        try:
            return self._go_on(budget)
        finally:
            self.ledger.settle()

    def _go_on(self, budget: Budget) -> Stop:
        watch = GainWatch(budget.min_gain_percent)
        while True:
            self._look_back()
            stop = budget.spent(len(self.ledger.records))
            if stop is None and self._count is not None and len(self._seen) >= self._count:
                stop = exhausted(self._count)
            if stop is not None:
                return stop
            proposal = self._given()
            stop = None if proposal is None else watch.stop(proposal.gain)
            if stop is not None:
                return stop
            asked = None if proposal is None else self.space.suggestions(proposal.recipe)
            self._one(self.ledger.ask(asked))

    def _look_back(self) -> None:
        """Note the recipes of trials that are new: an earlier run's, or another process's."""
        self.ledger.refresh()
        for number, record in self.ledger.records.items():
            self._seen.setdefault(record.recipe.id, number)

    def _one(self, trial: Trial) -> None:
        record = self._record(trial)
        number = self.ledger.finish(trial, self._values(record), record)
        self._seen.setdefault(record.recipe.id, number)
        self._met_again = None if record.reused_from is None else record.recipe
        self.listener.trial_finished(number, record)

    def _record(self, trial: Trial) -> Record:
        recipe = self.space.suggest(trial)
        entry = self._entries.get(recipe.id, FirstTrial(recipe, "sampled"))
        started_s = time.time()
        if recipe.id in self._seen:
            number = self._seen[recipe.id]
            logger.info("same recipe as trial %d", number)
            return self.ledger.records[number].as_reuse(number, "sampled", started_s)
        self.listener.trial_started(self.ledger.next_number, recipe, entry.origin)
        # Others are compared with a tool's default, and what a scheme takes in one runtime says
        # whether it is worth keeping some layers out of it.
        evaluation = self.evaluate(recipe, always_timed=bool(entry.default_of))
        goal = self.goal
        judged = judge(evaluation, goal.constraints, goal.objectives, goal.source)
        times = (started_s, time.time())
        return Record(evaluation, entry.origin, *judged, None, *times, entry.default_of)

    def _values(self, record: Record) -> list[float]:
        """What the sampler is told: plain where feasible, with the penalty on top elsewhere."""
        return self.goal.told(record.values, penalty(record.violations))

    def _given(self) -> Proposal | None:
        """What the next trial tries without asking the sampler.

        That is one of the first, unless it must fail as one before it did and is no baseline, then
        what the proposer names; or, after a suggestion of the sampler that was met before, one
        near it that was not.
        """
        for entry in self.first:
            told = entry.origin == "baseline" or not self.known_to_fail(entry.recipe)
            if told and entry.recipe.id not in self._seen:
                return Proposal(entry.recipe)
        if self.proposer is not None:
            return self.proposer.propose(self.ledger.records)
        return None if self._met_again is None else self._unseen(self._met_again)

    def _unseen(self, recipe: Recipe) -> Proposal | None:
        """A recipe that was not met: one choice away, or any where all of those were."""
        near = [other for other in self.space.neighbours(recipe) if other.id not in self._seen]
        if not near and self._count is not None:
            near = [other for other in self.space.recipes() if other.id not in self._seen]
        return Proposal(self._random.choice(near)) if near else None
