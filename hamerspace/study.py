"""A study from Python: create or load it, optimize, inspect, export."""

import os
import shlex
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hamerspace._optuna import is_read_only
from hamerspace._summary import summarize
from hamerspace.backends.candidate import Candidate
from hamerspace.build.faults import full_disk
from hamerspace.build.store import Store, default_store_folder
from hamerspace.config.flags import override, study_from_flags
from hamerspace.config.loading import load_study
from hamerspace.config.settings import takes_settings
from hamerspace.config.study import LoadedStudy
from hamerspace.errors import (
    ChangedStudyError,
    ConfigError,
    HamerspaceError,
    RunFolderError,
    StoreError,
)
from hamerspace.progress import StudyListener, listening
from hamerspace.report.card import card, counts
from hamerspace.report.html import write as write_html
from hamerspace.report.markdown import write_markdown
from hamerspace.report.pictures import save_figures
from hamerspace.report.run_data import RunData
from hamerspace.report.tables import trials_frame
from hamerspace.search.best import export_trial, holds_best, replace_best
from hamerspace.search.export import new_folder
from hamerspace.search.identity import begin, changes_since, make_room
from hamerspace.search.prepared import Prepared
from hamerspace.search.run import Run
from hamerspace.search.run_folder import RESULT_FILE, RUN_FILE
from hamerspace.search.running import Search
from hamerspace.search.stop import Budget
from hamerspace.search.workbench import Workbench
from hamerspace.tasks.model import ModelArtifact

if TYPE_CHECKING:
    import pandas as pd


class Study(Run):
    """One search: a task, a space, limits, and what was measured so far.

    Make one with :meth:`from_yaml` or :meth:`from_model`, or open an earlier one with
    :meth:`load`. What it finds is written to its folder at once, so an interrupted study goes on
    where it was.

    Args:
        loaded: The study file, or its equal.
        folder: Folder of its outputs; default: ``runs/<name>``.
        storage: Optuna storage URL; default: ``study.db`` in the folder.
        backends: Restrict the space to these.
        store: Where build results are kept; default: the user's cache folder.
    """

    def __init__(
        self,
        loaded: LoadedStudy,
        folder: Path | None = None,
        storage: str | None = None,
        backends: tuple[str, ...] | None = None,
        store: Store | None = None,
    ) -> None:
        super().__init__(loaded, folder, storage, backends)
        self._store = store or Store(default_store_folder())

    def __repr__(self) -> str:
        run, best = self.run_data(), self.best
        chosen = "no winner" if best is None else f"winner: trial {best.number}"
        return f"<Study {run.name}: {counts(run)}; {chosen}; {self._shown_folder}>"

    def _repr_html_(self) -> str:
        return card(self.run_data(), self._shown_folder)

    @property
    def _shown_folder(self) -> str:
        return os.path.relpath(self.folder.path)

    @classmethod
    @takes_settings
    def from_yaml(
        cls,
        path: str | Path,
        *,
        out: str | Path | None = None,
        storage: str | None = None,
        backends: tuple[str, ...] | None = None,
        trust_pickle: bool | None = None,
        **flags: Any,
    ) -> "Study":
        """Read a study file; keyword arguments go over what it says.

        Args:
            path: Such as ``studies/fashion_mnist/study.yaml``.
            out: Folder of the outputs; default: ``runs/<name>``.
            storage: Optuna storage URL.
            backends: Restrict the space to these.
            trust_pickle: Whether pickled weights may be loaded.
            flags: Such as ``trials=20`` or ``max_latency_ms=5``; ``None`` is not given.

        Raises:
            ConfigError: The file or an argument is wrong.
        """
        loaded = override(load_study(Path(path)), trust_pickle=trust_pickle, **flags)
        return cls(loaded, None if out is None else Path(out), storage, backends)

    @classmethod
    @takes_settings
    def from_model(
        cls,
        model: str | Path,
        *,
        inputs: tuple[str, ...] = (),
        out: str | Path | None = None,
        storage: str | None = None,
        backends: tuple[str, ...] | None = None,
        trust_pickle: bool = False,
        **flags: Any,
    ) -> "Study":
        """A study without a file: of a model file, or of ``module:function`` with ``weights=``.

        Raises:
            ConfigError: An argument is wrong.
        """
        loaded = study_from_flags(str(model), inputs=inputs, trust_pickle=trust_pickle, **flags)
        return cls(loaded, None if out is None else Path(out), storage, backends)

    def optimize(
        self,
        n_trials: int | None = None,
        timeout: float | None = None,
        listener: StudyListener | None = None,
        *,
        progress: bool = True,
        force: bool = False,
    ) -> "Study":
        """Search until the budget is spent, confirm the front, choose the winner, and report.

        Args:
            n_trials: Finished trials of the whole study; default: the study's budget.
            timeout: Wall seconds of this call, confirmation not counted; default: the budget's.
            listener: Is told how it goes on, in place of what follows.
            progress: Whether a notebook shows a live display. Elsewhere nothing is printed; the
                log has it at level INFO.
            force: Where the folder holds another study, such as this one before something was
                changed, set it aside as a whole and search anew, rather than refuse.

        Returns:
            The study itself.

        Raises:
            HamerspaceError: The model, the data, the space or the folder is wrong.
        """
        budget = self.loaded.config.budget
        n_trials = budget.trials if n_trials is None else n_trials
        timeout = budget.timeout_s if timeout is None else timeout
        if n_trials < 1 or (timeout is not None and timeout <= 0):
            raise ConfigError("n_trials must be at least 1, and timeout above 0 seconds")
        deadline_s = None if timeout is None else time.monotonic() + timeout
        allowed = Budget(n_trials, deadline_s, budget.min_gain_percent)
        with listening(self, listener, n_trials, timeout, display=progress) as watch:
            try:
                self._go_on(allowed, watch)
            except ChangedStudyError as changed:
                if not force:
                    raise
                make_room(self.folder, self.loaded.config.name, self._shared_url, changed)
                self._go_on(allowed, watch)
        return self

    def _go_on(self, budget: Budget, watch: StudyListener) -> None:
        """Begin the search, or go on with it, with the folder held."""
        try:
            with self.folder.held(worth_keeping=self._has_trials):
                self._ledger = None  # another process may have gone on since it was opened
                begin(self.folder, self.loaded, self._backends, self._shared_url, _command())
                if budget.met_by(self.result, len(self.records())):
                    self._restore()
                    return
                self._refuse_unwritable()
                with self._bench() as bench:
                    Search(bench, self, watch).run(budget)
                watch.phase("writing the report")
                self.report()
        except BaseException as error:
            self._ledger = None  # its file may be gone, or hold less than was to be written
            # What we say ourselves is said, unless something that failed is behind it.
            told = isinstance(error, HamerspaceError) and error.__cause__ is None
            if told or isinstance(error, StoreError | ChangedStudyError | KeyboardInterrupt):
                raise
            full = full_disk(error, self.folder.path)
            if full is None:
                raise
            raise RunFolderError(
                f"{full} is full: the run in {self.folder.path} could not be written; free space "
                "and give the command again"
            ) from error

    def _restore(self) -> None:
        """Write again what was deleted of a run that has ended."""
        if not holds_best(self.folder, self.best):
            result = self.result
            with self._bench() as bench:
                replace_best(bench, self.folder, self.records(), self.best)
            self.folder.write(RESULT_FILE, result)
        if not self.folder.report.is_file():
            self.report()

    def report(self, path: str | Path | None = None) -> Path:
        """Write the HTML report, by default ``report.html`` in the folder; return its path."""
        return write_html(self.run_data(), Path(path or self.folder.report))

    def report_markdown(self, path: str | Path, figures: Iterable[Path] = ()) -> Path:
        """Write the report as Markdown that shows ``figures``; return its path."""
        return write_markdown(self.run_data(), Path(path), figures)

    def save_figures(self, folder: str | Path) -> list[Path]:
        """Write the report's figures as PNG; ``FigureError`` tells what drawing them lacks."""
        return save_figures(self.run_data(), Path(folder))

    def trials_dataframe(self) -> "pd.DataFrame":
        """One row a trial: recipe, measurements with intervals, gate, reason, seconds."""
        return trials_frame(self.run_data())

    def run_data(self) -> RunData:
        """Everything that the report tells, as plain values."""
        return summarize(self)

    def export(self, output: str | Path, trial: int | None = None) -> Path:
        """Write a trial's candidate, with ``predict.py``, into a new folder.

        Args:
            output: The folder; it must not exist, or be empty.
            trial: Trial number; default: the winner's.

        Raises:
            ConfigError: There is no such trial, or no winner.
            RunFolderError: The folder is taken, or the model has changed since the search.
        """
        records = self.records()
        if trial is None:
            best = self.best
            if best is None:
                do = "name a trial" if records else "no trial has finished yet, so search first"
                raise ConfigError(f"this study has no winner to export; {do}")
            trial = best.number
        if trial not in records:
            known = f"0 to {max(records)}" if records else "none yet"
            raise ConfigError(f"there is no finished trial {trial}; finished are {known}")
        folder = new_folder(output)
        self._refuse_changed()
        seen = self.again(trial) or records[trial]  # as it was confirmed, else as the search saw it
        with self._bench() as bench:
            export_trial(bench, records, trial, seen.measurement, folder)
        return folder

    def build(self, trial: int) -> Candidate:
        """A trial's candidate: from the store, or built again.

        It lies in the store, which may drop it later; :meth:`export` copies it.

        Raises:
            ConfigError: It cannot be built.
            RunFolderError: The model has changed since the search.
        """
        self._refuse_changed()
        with self._bench() as bench:
            return bench.candidate(self.records()[trial].recipe, f"trial {trial}")

    def technique_model(self, trial: int, model_format: str) -> ModelArtifact | None:
        """The model that a trial's techniques left before its backend converted it.

        Args:
            trial: Trial number.
            model_format: ``None`` is returned where that model has another format.

        Raises:
            BuildError: The store has dropped it, and it cannot be built again.
            RunFolderError: The model has changed since the search.
        """
        self._refuse_changed()
        with self._bench() as bench:
            return bench.technique_model(self.records()[trial].recipe, model_format)

    @contextmanager
    def _bench(self) -> Iterator[Workbench]:
        log = self.folder.log("prepare.log") if self.folder.is_writable else Path(os.devnull)
        with (
            Prepared(self.loaded, self._store, self._backends, log) as prepared,
            Workbench(prepared, self.folder) as bench,
        ):
            yield bench

    def _refuse_unwritable(self) -> None:
        if is_read_only(self._storage_url):
            raise RunFolderError(
                f"{self._storage_url} cannot be written; give the search another folder with "
                "--out, or another storage with --storage"
            )

    def _refuse_changed(self) -> None:
        changes = changes_since(self.folder.read(RUN_FILE) or {}, self.loaded, self._backends)
        if changes:
            lines = "".join(f"\n  {change}" for change in changes)
            raise RunFolderError(
                f"the model, the data or the space of {self.folder.path} have changed since it was "
                f"searched, so its trials cannot be built again:{lines}\n"
                "restore them, or search anew"
            )

    def _has_trials(self) -> bool:
        return self._ledger is not None and bool(self._ledger.records)


def _command() -> str:
    """How the command line was called; empty in a program or a notebook."""
    called = Path(sys.argv[0]).name if sys.argv else ""
    return shlex.join([called, *sys.argv[1:]]) if called == "hamerspace" else ""
