"""A run, finished or going on, as its folder and its storage tell it."""

from pathlib import Path
from typing import Any, Self

import optuna

from hamerspace.build.store import content_key
from hamerspace.config.flags import backend_names
from hamerspace.config.study import LoadedStudy
from hamerspace.outcome.confirmed import Confirmed
from hamerspace.outcome.front import front
from hamerspace.outcome.measurement import Measurement
from hamerspace.outcome.record import Record
from hamerspace.search.goal import Goal
from hamerspace.search.ledger import Ledger
from hamerspace.search.run_folder import (
    FACTS_FILE,
    RESULT_FILE,
    RUN_FILE,
    SOURCE_FILE,
    STUDY_DB,
    RunFolder,
    open_run,
)
from hamerspace.search.samplers import make_sampler, own_seed


class Run:
    """What a study has found so far. Reading it writes nothing.

    Args:
        loaded: The study file, or its equal.
        folder: Folder of its outputs; default: ``runs/<name>``.
        storage: Optuna storage URL; default: ``study.db`` in the folder.
        backends: Those that the space is restricted to.
    """

    def __init__(
        self,
        loaded: LoadedStudy,
        folder: Path | None = None,
        storage: str | None = None,
        backends: tuple[str, ...] | None = None,
    ) -> None:
        self.loaded = loaded
        self.folder = RunFolder((folder or Path("runs") / loaded.config.name).resolve())
        self._storage_url = storage or self.folder.storage_url
        # The folder's own database is not noted by its path, so that the folder may be moved.
        self._shared_url = None if self._storage_url == self.folder.storage_url else storage
        self._backends = backend_names(backends)
        self._ledger: Ledger | None = None

    @classmethod
    def load(cls, run: str | Path) -> Self:
        """Open the folder of an earlier run.

        Raises:
            RunFolderError: There is no run in it.
        """
        folder = open_run(Path(run))
        state = folder.read(RUN_FILE) or {}
        loaded = LoadedStudy.model_validate(state["study"])
        backends = state.get("identity", {}).get("backends")
        return cls(loaded, folder.path, state.get("storage"), tuple(backends) if backends else None)

    def records(self) -> dict[int, Record]:
        """Trial number to what it came to, for the finished trials."""
        return dict(self.ledger().records) if self._was_begun() else {}

    def refresh(self) -> None:
        """Take in the trials that another process has finished since this study was loaded."""
        if self._was_begun():
            self.ledger().take_in()

    @property
    def optuna_study(self) -> optuna.Study:
        """The study as Optuna knows it; its trials are finished ones only."""
        return self.ledger().kept

    @property
    def source(self) -> Measurement | None:
        """The source model's own measurement; ``None`` before the search began."""
        found = self.folder.read(SOURCE_FILE)
        return None if found is None else Measurement.from_dict(found["measurement"])

    @property
    def facts(self) -> dict[str, Any]:
        """What the report tells of the task and the space; empty before they are read."""
        return self.folder.read(FACTS_FILE) or {}

    @property
    def result(self) -> dict[str, Any]:
        """What the last search ended with; empty before it ended."""
        return self.folder.read(RESULT_FILE) or {}

    @property
    def confirmed(self) -> list[Confirmed]:
        """The candidates that were confirmed, in the order of their trials."""
        return [Confirmed.from_dict(value) for value in self.result.get("confirmed", [])]

    @property
    def best(self) -> Confirmed | None:
        """The winner; ``None`` where nothing confirmed keeps the limits and beats the source."""
        return self.again(self.result.get("winner"))

    @property
    def nearest_to_source(self) -> Confirmed | None:
        """The best that keeps the limits, where nothing beats the source model; else ``None``."""
        return self.again(self.result.get("nearest_to_source"))

    def front(self) -> dict[int, Record]:
        """The feasible trials that no other dominates, by trial number."""
        records = self.records()
        return {n: records[n] for n in front(records, self.goal.maximize)}

    @property
    def goal(self) -> Goal:
        """What the search improves and keeps, as far as the run folder tells."""
        config, source = self.loaded.config, self.source
        return Goal(
            config.objectives,
            config.constraints.constraints(),
            {} if source is None else source.observed(),
            self.facts.get("metric", {}).get("direction") == "minimize",
        )

    def again(self, number: int | None) -> Confirmed | None:
        """What the trial of a number came to as it was confirmed, where it was."""
        return next((c for c in self.confirmed if c.number == number), None)

    def _was_begun(self) -> bool:
        """Whether there is a storage to read; reading must not make one.

        Its directions are known once the facts of the task are.
        """
        if self._ledger is not None:
            return True
        kept = self.shared or self.folder.has(STUDY_DB)
        return kept and self.folder.has(FACTS_FILE)

    @property
    def shared(self) -> bool:
        """Whether other processes may search with the same storage."""
        return self._shared_url is not None

    @property
    def identity(self) -> str:
        """Digest of what must not change between runs."""
        return content_key(identity=(self.folder.read(RUN_FILE) or {}).get("identity"))

    def ledger(self) -> Ledger:
        """The study in its storage, and a sampler that has seen its trials."""
        if self._ledger is None:
            config = self.loaded.config
            facts = self.facts if self.shared else {}
            compare = [facts.get(name) for name in ("choices", "conditions", "content")]
            seed = own_seed() if self.shared else config.search.seed
            self._ledger = Ledger(
                self._storage_url,
                config.name,
                self.goal.directions,
                [objective.quantity.key for objective in config.objectives],
                lambda trials: make_sampler(config.search.sampler, seed + trials),
                identity=self.identity,
                choices=content_key(compare=compare) if any(compare) else "",
                shared=self.shared,
            )
        return self._ledger
