"""What it takes to do a run again."""

import json
from dataclasses import dataclass

from hamerspace._text import visible
from hamerspace.recipe import Recipe
from hamerspace.report.run_data import RunData

_PROGRAM = """from hamerspace import Study

Study.from_yaml({arguments}).optimize()
"""
_SESSION_PROGRAM = """# The metric {metric} was a function of the Python session that made this.
# Run that session's program again: a study file cannot hold the function.
"""


@dataclass(frozen=True)
class Reproduction:
    """How to do a run again.

    Attributes:
        command: For the shell; empty where a program made the study.
        program: For Python, with the study saved as ``study.yaml``; a comment where no other
            program than the first can run the study.
        study_yaml: The study as a file, its seed included; empty where it is not known.
        recipe: The winner's recipe as indented JSON; empty where there is no winner.
    """

    command: str
    program: str
    study_yaml: str
    recipe: str


def reproduction(run: RunData) -> Reproduction:
    """Collect what a report says about doing the run again."""
    trial = run.trial(run.chosen) if run.winner else None
    recipe = ""
    if trial is not None and "backend" in trial.parameters:
        recipe = json.dumps(json.loads(Recipe(trial.parameters).to_json()), indent=1)
    program = _program(run) if run.study_yaml else ""
    return Reproduction(run.command, program, run.study_yaml, recipe)


def _program(run: RunData) -> str:
    if run.session_metric:
        return _SESSION_PROGRAM.format(metric=visible(run.metric.name, lines=False))
    arguments = ['"study.yaml"']
    if run.only_backends:
        arguments.append(f"backends={run.only_backends!r}")
    if run.trust_pickle:
        arguments.append("trust_pickle=True")
    return _PROGRAM.format(arguments=", ".join(arguments))
