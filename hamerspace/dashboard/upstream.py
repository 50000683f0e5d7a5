"""Every use of what optuna-dashboard does not promise.

``tests/dashboard/test_upstream.py`` fails where upstream moves. optuna-dashboard 0.21 reads
constraints as a list under one key, where Optuna 5 writes a key for each; it looks for the best
trials among all complete ones, whatever their constraints; it takes figures from a set.
"""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from optuna.artifacts import ArtifactMeta
from optuna.storages import BaseStorage

View = Callable[..., Any]


def constraint_attributes(violations: Mapping[str, float]) -> dict[str, list[float]]:
    """The system attribute of a trial that holds its constraints; at most 0 is kept."""
    return {"constraints": list(violations.values())}


def artifact_attributes(artifacts: Sequence[ArtifactMeta], trial_id: int | None) -> dict[str, str]:
    """System attributes of a study that give it, or one of its trials, artifacts.

    ``optuna.artifacts.upload_artifact`` cannot add to trials that are finished.
    """
    prefix = "artifacts:" if trial_id is None else f"dashboard:artifacts:{trial_id}:"
    return {prefix + artifact.artifact_id: json.dumps(asdict(artifact)) for artifact in artifacts}


def study_details(
    storage: BaseStorage, study_id: int, best: Callable[[], Sequence[int]]
) -> Callable[[View], View]:
    """A plug-in for the application: the true best trials, and figures in the order of ids.

    Args:
        storage: That of the application.
        study_id: Of the one study in it.
        best: Gives the numbers of the best trials.
    """
    from optuna_dashboard._serializer import serialize_frozen_trial

    def mend(details: dict[str, Any]) -> dict[str, Any]:
        trials = storage.get_all_trials(study_id, deepcopy=False)
        attributes = storage.get_study_system_attrs(study_id)
        return details | {
            "best_trials": [
                serialize_frozen_trial(study_id, trials[number], attributes) for number in best()
            ],
            "plotly_graph_objects": sorted(
                details["plotly_graph_objects"], key=lambda figure: str(figure["id"])
            ),
        }

    def plugin(view: View) -> View:
        @functools.wraps(view)
        def mended(*args: Any, **kwargs: Any) -> Any:
            answer = view(*args, **kwargs)
            known = isinstance(answer, dict) and "best_trials" in answer
            return mend(answer) if known else answer

        return mended

    return plugin
