"""A copy in memory of a study, with what a dashboard shows of it."""

import shlex
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import optuna
from optuna.samplers import RandomSampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from hamerspace import _numbers
from hamerspace._optuna import note_taker
from hamerspace._summary import summarize
from hamerspace.dashboard.artifacts import RunArtifacts
from hamerspace.dashboard.figures import sensitivity_page, study_figures
from hamerspace.dashboard.notes import study_note, trial_note
from hamerspace.dashboard.upstream import artifact_attributes, constraint_attributes
from hamerspace.outcome.record import Record
from hamerspace.outcome.trial import Trial
from hamerspace.report.figures.progress import FATES, fate
from hamerspace.report.pareto import pareto_front
from hamerspace.report.run_data import RunData
from hamerspace.search.run import Run


class Mirror:
    """What a study has found so far, as an Optuna study of the same trials.

    Its trials differ from the storage's in what they claim: objectives are the measured ones
    without a penalty, and a trial that a gate ended is pruned and one that failed has failed,
    rather than complete at values that stand in for measurements.

    Args:
        study: The study.
        artifacts: Of its run.

    Attributes:
        storage: Holds the copy and nothing else.
        study_id: Of the copy.
        best: Numbers of the feasible trials that no other dominates.
    """

    def __init__(self, study: Run, artifacts: RunArtifacts) -> None:
        self._study = study
        self._artifacts = artifacts
        self._records: dict[int, Record] = {}
        self._result: Mapping[str, Any] | None = None
        self._directions = study.goal.directions
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.storage = InMemoryStorage()
        self._copy = optuna.create_study(
            storage=self.storage,
            study_name=study.loaded.config.name,
            directions=list(self._directions),
            sampler=RandomSampler(),
        )
        experimental = optuna.exceptions.ExperimentalWarning
        with warnings.catch_warnings(action="ignore", category=experimental):
            self._copy.set_metric_names([o.quantity.key for o in study.loaded.config.objectives])
        self.study_id = self.storage.get_study_id_from_name(self._copy.study_name)
        self.best: tuple[int, ...] = ()

    @property
    def outdated(self) -> bool:
        """Whether only a new copy can show what the run has become.

        Before the task is read nobody knows whether more or less of its metric is better. With
        another result, attributes of the winner before would stay.
        """
        return self._study.goal.directions != self._directions or self._is_another(
            self._study.result
        )

    def _is_another(self, result: Mapping[str, Any]) -> bool:
        return self._result is not None and result != self._result

    def refresh(self) -> None:
        """Take in the trials that have finished; a copy that is outdated stays as it is.

        Raises:
            RunFolderError: The run cannot be read.
        """
        self._study.refresh()
        records, result = self._study.records(), self._study.result
        unchanged = result == self._result and len(records) == len(self._records)
        if unchanged or self._is_another(result):
            return
        run = summarize(self._study)
        new = [trial for trial in run.trials if trial.number not in self._records]
        self._add(new, records)
        for trial in new:
            self._tell(run, trial, records[trial.number])
        self._tell_study(run)
        self._records, self._result = records, result

    def _add(self, new: Sequence[Trial], records: Mapping[int, Record]) -> None:
        kept = self._study.optuna_study.get_trials(deepcopy=False) if new else []
        for trial in new:
            while self.storage.get_n_trials(self.study_id) < trial.number:
                # Not a trial of Hamerspace: it takes up a number and tells nothing.
                self._copy.add_trial(create_trial(state=TrialState.FAIL))
            self._copy.add_trial(_as_measured(trial, records[trial.number], kept[trial.number]))

    def _tell(self, run: RunData, trial: Trial, record: Record) -> None:
        from optuna_dashboard import save_note

        path = shlex.quote(str(self._study.folder.path))
        export = f"hamerspace export {path} --trial {trial.number} --output FOLDER"
        trial_id = self.storage.get_trial_id_from_study_id_trial_number(self.study_id, trial.number)
        save_note(note_taker(self._copy, trial_id), trial_note(run, trial, export))
        winner = trial.number == run.chosen
        plots = {scheme: partial(sensitivity_page, run, scheme) for scheme in run.sensitivity}
        artifacts = self._artifacts.of_trial(record, winner=winner, plots=plots)
        self._set(artifact_attributes(artifacts, trial_id))

    def _tell_study(self, run: RunData) -> None:
        from optuna_dashboard import save_note, save_plotly_graph_object

        self.best = tuple(trial.number for trial in pareto_front(run))
        save_note(self._copy, study_note(run))
        for name, figure in study_figures(run).items():
            save_plotly_graph_object(self._copy, figure, graph_object_id=name)
        self._set(artifact_attributes(self._artifacts.of_study(), None))
        for name, limit in run.constraints.items():
            text = f"at most {_numbers.limit_value(name, limit, run.metric)}"
            self._copy.set_user_attr(_numbers.limit_title(name), text)
        if run.chosen is not None:
            self._copy.set_user_attr("winner", f"trial {run.chosen}: {run.labels[run.chosen]}")

    def _set(self, attributes: Mapping[str, str]) -> None:
        for name, value in attributes.items():
            self.storage.set_study_system_attr(self.study_id, name, value)


def _as_measured(trial: Trial, record: Record, kept: FrozenTrial) -> FrozenTrial:
    state = TrialState.PRUNED if record.imputed else TrialState.COMPLETE
    if record.measurement.failed:
        state = TrialState.FAIL
    found = create_trial(
        state=state,
        values=list(record.values.values()) if state is TrialState.COMPLETE else None,
        params=kept.params,
        distributions=kept.distributions,
        user_attrs=_columns(trial),
        system_attrs=constraint_attributes(record.violations),
    )
    found.datetime_start, found.datetime_complete = kept.datetime_start, kept.datetime_complete
    return found


def _columns(trial: Trial) -> dict[str, Any]:
    """What the table of trials can be sorted by, besides objectives and parameters."""
    shown = ("drop_points", "latency_ms", "latency_ratio", "size_mb", "memory_mb", "load_time_ms")
    values = {key: trial.values[key] for key in shown if trial.values.get(key) is not None}
    return {
        "recipe": trial.label,
        "ended": FATES[fate(trial)],
        "origin": trial.origin,
        **{key: float(f"{value:.4g}") for key, value in values.items() if value is not None},
    }
