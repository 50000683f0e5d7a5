"""A search from its first trial to its winner."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from hamerspace.errors import ConfigError
from hamerspace.outcome.measurement import Latency, Measurement
from hamerspace.recipe import Recipe
from hamerspace.search.best import replace_best
from hamerspace.search.conclude import confirm_front
from hamerspace.search.facts import facts_of
from hamerspace.search.goal import Goal
from hamerspace.search.history.studies import entry_of, history_of, recall_for
from hamerspace.search.identity import keep_reads, refuse_other_facts
from hamerspace.search.ledger import Ledger
from hamerspace.search.loop import SearchLoop, StudyListener
from hamerspace.search.run import Run
from hamerspace.search.run_folder import FACTS_FILE, RESULT_FILE
from hamerspace.search.samplers import make_proposer, own_seed
from hamerspace.search.stop import Budget, Stop
from hamerspace.search.warmstart import FirstTrial, apart, first_trials
from hamerspace.search.workbench import Workbench

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _WatchedBench:
    """Tells of each recipe before it is measured again, where a display may end the search."""

    bench: Workbench
    watch: StudyListener

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
        study: What was found so far, to which this adds.
        watch: Is told how it goes on.
    """

    bench: Workbench
    study: Run
    watch: StudyListener

    def run(self, budget: Budget) -> None:
        """Search, confirm the front, choose the winner, and note the result.

        Raises:
            HamerspaceError: The model, the data, the space or the folder is wrong.
        """
        history = history_of(self.bench.prepared.loaded)
        self._prepare()
        goal, ledger = self.study.goal, self.study.ledger()
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
        replace_best(self.bench, self.study.folder, records, winner)
        self.study.folder.write(
            RESULT_FILE,
            {
                "trials": budget.trials,
                "finished": len(records),
                "stopped_because": stop.text,
                "stopped": stop,
                "winner": None if winner is None else winner.number,
                "nearest_to_source": None if found.nearest is None else found.nearest.number,
                "confirmed": found.confirmed,
                "search_s": sum(r.finished_s - r.started_s for r in records.values()),
                "confirm_s": time.monotonic() - searched,
            },
        )
        entry = entry_of(
            self.bench.prepared, self.study.identity, records, found.confirmed, winner, goal
        )
        if history is not None and entry is not None:
            history.add(entry)

    def _prepare(self) -> None:
        """Read the task, measure the source model, and note what the report tells of both."""
        folder = self.study.folder
        self.watch.phase("reading the model and the data")
        _ = self.bench.prepared.space
        self.watch.phase("measuring the source model")
        facts = facts_of(self.bench)
        refuse_other_facts(folder.read(FACTS_FILE), facts, folder)
        folder.write(FACTS_FILE, facts)
        keep_reads(folder, self.bench.reads())
        for warning in facts["warnings"]:
            logger.warning("%s", warning)

    def _try_recipes(
        self, ledger: Ledger, goal: Goal, budget: Budget, recalled: Sequence[FirstTrial]
    ) -> Stop:
        bench, prepared, settings = self.bench, self.bench.prepared, self.bench.config.search
        self.watch.phase("searching")
        first = first_trials(prepared.space, prepared.task.info, prepared.constraints, recalled)
        seed = settings.seed
        if self.study.shared:
            seed = own_seed()
            first = apart(first, seed)
        proposer = make_proposer(
            settings.sampler, prepared.space, goal, bench.stages, seed, shared=self.study.shared
        )
        loop = SearchLoop(
            ledger,
            prepared.space,
            bench.evaluate,
            goal,
            first,
            self.watch,
            seed,
            proposer,
            bench.stages.known_to_fail,
        )
        return loop.run(budget)
