"""What it takes to do a run again."""

import json
from dataclasses import dataclass

from hamerspace.recipe import Recipe
from hamerspace.report.run_data import RunData

_PROGRAM = """from hamerspace import Study

Study.from_yaml("study.yaml").optimize()
"""


@dataclass(frozen=True)
class Reproduction:
    """How to do a run again.

    Attributes:
        command: For the shell; empty where a program made the study.
        program: For Python, with the study saved as ``study.yaml``.
        study_yaml: The study as a file, its seed included; empty where it is not known.
        recipe: The winner's recipe as indented JSON; empty where there is no winner.
    """

    command: str
    program: str
    study_yaml: str
    recipe: str


def reproduction(run: RunData) -> Reproduction:
    """Collect what a report says about doing the run again."""
    number = run.winner.number if run.winner else None
    trial = next((t for t in run.trials if t.number == number), None)
    recipe = ""
    if trial is not None and "backend" in trial.parameters:
        recipe = json.dumps(json.loads(Recipe(trial.parameters).to_json()), indent=1)
    return Reproduction(run.command, _PROGRAM if run.study_yaml else "", run.study_yaml, recipe)
