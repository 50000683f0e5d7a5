"""A run that an earlier version left, as its files lay on the disk."""

import json
import shutil
from pathlib import Path

import pytest

from hamerspace import Study
from hamerspace.cli.outcome import print_outcome
from hamerspace.errors import HamerspaceError
from hamerspace.outcome.measurement import Measurement
from hamerspace.report.verdict import verdict
from hamerspace.search.exported import read_exported
from hamerspace.search.identity import identity_of

KEPT = Path(__file__).parent / "data" / "earlier_run"


@pytest.fixture
def run(tmp_path):
    return shutil.copytree(KEPT, tmp_path / "run")


def _as_it_was(now, before):
    """What is told now, without what was not told before."""
    if isinstance(before, dict):
        return {key: _as_it_was(now[key], value) for key, value in before.items()}
    if isinstance(before, list):
        return [_as_it_was(*pair) for pair in zip(now, before, strict=True)]
    return now


def test_it_opens_with_all_that_was_found(run):
    study = Study.load(run)
    records = study.records()
    ended = [record.measurement.ended_at for record in records.values()]
    assert ended == ["complete", "size", "complete", "complete"]
    assert [record.feasible for record in records.values()] == [True, False, True, True]
    assert records[1].violations["max_size_mb"] == pytest.approx(0.27395)
    assert list(study.front()) == [0, 2, 3]
    assert study.best.number == 3
    assert set(study.best.verdicts.values()) == {"kept"}
    assert study.best.measurement.latency.processes == 5
    assert study.source.size_mb == pytest.approx(0.012019)


def test_it_is_shown_as_it_was(run, capsys):
    study = Study.load(run)
    print_outcome(study, as_json=True)
    shown = json.loads(capsys.readouterr().out)
    kept = json.loads((KEPT.parent / "earlier_run.json").read_text())
    assert _as_it_was(shown, kept) == kept
    assert verdict(study.run_data()).headline == (
        "onnxruntime static_int8: 0.00817 MB (1.5x smaller), 0.038 ms (1.4x slower), accuracy "
        "85.6 % (drop 6.2 points [+0.4, +14.0]), confirmed on 160 rows: all limits "
        "kept."
    )


def test_it_is_the_study_that_it_was(run):
    loaded, kept = Study.load(run).loaded, json.loads((run / "run.json").read_text())["identity"]
    (run / "space.yaml").write_text("version: 1\nname: small\nparameters: {backend: onnxruntime}\n")
    identity = identity_of(loaded.model_copy(update={"root": run}), None, {})
    assert identity["constraints"] == kept["constraints"]
    assert identity["objectives"] == kept["objectives"]


def test_it_is_reported(run):
    study = Study.load(run)
    assert "onnxruntime static_int8" in study.report().read_text()
    told = study.report_markdown(run / "report.md").read_text()
    assert "| onnxruntime dynamic\\_int8 | 86.9 % | 5.0 points \\[-0.4, +12.3\\]" in told
    frame = study.trials_dataframe()
    assert frame.loc[3, "size_mb"] == pytest.approx(0.00817, abs=1e-5)
    assert frame.loc[1, "ended_at"] == "size"


def test_its_model_is_there_and_no_other_is_exported_in_its_name(run, tmp_path):
    candidate, deployment = read_exported(run / "best")
    assert (candidate.backend, candidate.files) == ("onnxruntime", ("model.onnx",))
    assert (deployment.batch_size, deployment.threads) == (1, 1)
    told = json.loads((run / "best" / "measurement.json").read_text())
    assert Study.load(run).best.measurement == Measurement.from_dict(told)
    with pytest.raises(HamerspaceError, match=r"no file .*space\.yaml"):
        Study.load(run).export(tmp_path / "model")
    assert not (tmp_path / "model").exists()
