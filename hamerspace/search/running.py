"""A search from its first trial to its winner."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hamerspace.errors import ConfigError
from hamerspace.outcome.measurement import Latency, Measurement
from hamerspace.recipe import Recipe
from hamerspace.search.best import replace_best
from hamerspace.search.conclude import confirm_front
from hamerspace.search.facts import facts_of
from hamerspace.search.goal import Goal
from hamerspace.search.history import entry_of, history_of, recall_for
from hamerspace.search.identity import keep_reads, refuse_other_choices, refuse_other_conditions
from hamerspace.search.ledger import Ledger
from hamerspace.search.loop import Listener, SearchLoop
from hamerspace.search.run_folder import FACTS_FILE, RESULT_FILE, RunFolder
from hamerspace.search.samplers import make_proposer, own_seed
from hamerspace.search.stop import Budget, Stop
from hamerspace.search.warmstart import FirstTrial, apart, first_trials
from hamerspace.search.workbench import Workbench


class PhaseListener(Listener, Protocol):
    """Is told of the parts of a search too."""

    def phase(self, text: str) -> None: ...


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _WatchedBench:
    """Tells of each recipe before it is measured again, where a display may end the search."""

    bench: Workbench
    watch: PhaseListener

    def confirm(self, recipe: Recipe, confidence: float) -> Measurement:
        self.watch.trial_started(None, recipe, "confirming")
        return self.bench.confirm(recipe, confidence)

    def time_afresh(self, recipe: Recipe, pair: int) -> Latency:
        self.watch.trial_started(None, recipe, "timing in fresh processes")
        return self.bench.time_afresh(recipe, pair)


@dataclass(frozen=True)
class Search:
    """A search of one study.

    Attributes:
        bench: Builds and measures.
        folder: Of the outputs.
        open_ledger: Opens the study's storage, once it is known what is improved.
        identity: Digest of what must not change between runs.
        shared: Whether other processes search with the same storage.
        watch: Is told how it goes on.
    """

    bench: Workbench
    folder: RunFolder
    open_ledger: Callable[[Goal], Ledger]
    identity: str
    shared: bool
    watch: PhaseListener

    def run(self, budget: Budget) -> None:
        """Search, confirm the front, choose the winner, and note the result.

        Raises:
            HamerspaceError: The model, the data, the space or the folder is wrong.
        """
        history = history_of(self.bench.prepared.loaded)
        goal = self._prepare()
        ledger = self.open_ledger(goal)
        recalled = recall_for(self.bench.prepared, history, goal.source["size"])
        stop = self._try_recipes(ledger, goal, budget, recalled)
        if not ledger.records:
            raise ConfigError(
                f"{stop.text} before a trial could begin: reading the model and the data and "
                "measuring the source model count too; allow more"
            )
        searched = time.monotonic()
        self.watch.phase("confirming the front")
        records = dict(ledger.records)
        found = confirm_front(_WatchedBench(self.bench, self.watch), records, goal)
        winner = found.winner
        replace_best(self.bench, self.folder, records, winner)
        self.folder.write(
            RESULT_FILE,
            {
                "trials": budget.trials,
                "finished": len(records),
                "stopped_because": stop.text,
                "stopped": stop.to_dict(),
                "winner": None if winner is None else winner.number,
                "nearest_to_source": None if found.nearest is None else found.nearest.number,
                "confirmed": [c.to_dict() for c in found.confirmed],
                "search_s": sum(r.finished_s - r.started_s for r in records.values()),
                "confirm_s": time.monotonic() - searched,
            },
        )
        entry = entry_of(self.bench.prepared, self.identity, records, found.confirmed, winner, goal)
        if history is not None and entry is not None:
            history.add(entry)

    def _prepare(self) -> Goal:
        """Read the task and measure the source model."""
        bench, prepared = self.bench, self.bench.prepared
        self.watch.phase("reading the model and the data")
        _ = prepared.space
        self.watch.phase("measuring the source model")
        facts = facts_of(bench)
        before = self.folder.read(FACTS_FILE)
        refuse_other_choices(before, facts, self.folder)
        refuse_other_conditions(before, facts, self.folder)
        self.folder.write(FACTS_FILE, facts)
        keep_reads(self.folder, bench.reads())
        for warning in facts["warnings"]:
            logger.warning("%s", warning)
        minimize = bench.metric.direction == "minimize"
        objectives = prepared.config.objectives
        return Goal(objectives, prepared.constraints, bench.source_values, minimize)

    def _try_recipes(
        self, ledger: Ledger, goal: Goal, budget: Budget, recalled: Sequence[FirstTrial]
    ) -> Stop:
        bench, prepared, settings = self.bench, self.bench.prepared, self.bench.config.search
        self.watch.phase("searching")
        first = first_trials(prepared.space, prepared.task.info, prepared.constraints, recalled)
        seed = settings.seed
        if self.shared:
            seed = own_seed()
            first = apart(first, seed)
        proposer = make_proposer(
            settings.sampler, prepared.space, goal, bench.stages, seed, shared=self.shared
        )
        loop = SearchLoop(
            ledger, prepared.space, bench.evaluate, goal, first, self.watch, seed, proposer
        )
        return loop.run(budget)
