import subprocess
import sys
from dataclasses import replace


def test_the_winner_is_the_confirmed_one_that_was_chosen(run):
    assert run.labels[run.chosen] == "onnxruntime static basic"
    assert replace(run, confirmed=()).winner is None


def test_describing_a_run_imports_nothing_heavy():
    code = (
        "import sys, hamerspace.report, hamerspace.report.tables, hamerspace.report.verdict;"
        "assert not {'plotly', 'pandas', 'torch', 'optuna'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
