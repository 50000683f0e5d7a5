import subprocess
import sys
from dataclasses import replace


def test_the_backend_is_told_by_the_parameters_or_else_by_the_label(run):
    trial = run.trials[1]
    assert trial.backend == "openvino"
    assert replace(trial, parameters={}, label="litert int8").backend == "litert"
    assert replace(trial, parameters={}, label="").backend == "unknown"


def test_the_winner_is_the_one_that_is_marked(run):
    assert run.winner.label == "onnxruntime static basic"
    assert replace(run, confirmations=()).winner is None


def test_describing_a_run_imports_nothing_heavy():
    code = (
        "import sys, hamerspace.report, hamerspace.report.tables, hamerspace.report.verdict;"
        "assert not {'plotly', 'pandas', 'torch', 'optuna'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
