"""What lies in a run folder agrees with its result, and comes back where it was deleted."""

import json
import shutil
from pathlib import Path

import pytest

from hamerspace import Study
from hamerspace.search import best
from hamerspace.search.best import holds_best
from hamerspace.search.run_folder import RunFolder


@pytest.fixture(scope="module")
def run(write_study, tmp_path_factory):
    file = write_study(
        tmp_path_factory.mktemp("study"),
        {
            "backend": ["onnxruntime"],
            "onnxruntime.quantization": ["none", "dynamic_int8", "static_int8"],
        },
        constraints={"max_accuracy_drop": 60.0},
        objectives=["size"],  # a latency may be no better than the source's, and then none wins
    )
    return Study.from_yaml(file, out=tmp_path_factory.mktemp("runs") / "run", trials=2).optimize()


@pytest.fixture
def copied(run, tmp_path):
    shutil.copytree(run.folder.path, tmp_path / "run")
    return Study(run.loaded, tmp_path / "run")


def _changed_measurement(best):
    found = json.loads((best / "measurement.json").read_text())
    (best / "measurement.json").write_text(json.dumps({**found, "size_mb": 1e-3}))


@pytest.mark.parametrize(
    "harm",
    [
        shutil.rmtree,
        lambda best: (best / "manifest.json").unlink(),
        lambda best: (best / "predict.py").unlink(),
        _changed_measurement,
    ],
    ids=["is gone", "has no manifest", "has no predict.py", "is another's"],
)
def test_a_model_that_disagrees_with_the_result_is_written_again(copied, run, harm):
    assert holds_best(copied.folder, copied.best)
    harm(copied.folder.best)
    assert not holds_best(copied.folder, copied.best)
    copied.optimize(n_trials=2)
    assert holds_best(copied.folder, copied.best)
    assert copied.result == run.result, "nothing was searched or confirmed anew"


def test_a_report_that_is_gone_is_written_again(copied):
    copied.folder.report.unlink()
    copied.optimize(n_trials=2)
    assert copied.folder.report.is_file()


MOMENTS = {
    "exporting": (best, "export_trial", lambda *_: True),
    "the result is gone": (best, "_clear", lambda *_: True),
    "the old model is half put aside": (Path, "rename", lambda path, *_: path.name == "best"),
    "there is no model": (Path, "rename", lambda path, *_: path.name == ".best"),
    "there is no result": (RunFolder, "write", lambda _, name, *__: name == "result.json"),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_wherever_it_ends_result_and_model_agree_and_the_search_goes_on(
    copied, monkeypatch, moment
):
    class Killed(BaseException):
        pass

    where, name, is_now = MOMENTS[moment]
    original = getattr(where, name)

    def die_then(*arguments, **named):
        if is_now(*arguments):
            raise Killed
        return original(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(where, name, die_then)
        with pytest.raises(Killed):
            copied.optimize(n_trials=3)
    after = Study.load(copied.folder.path)
    assert not after.result or holds_best(after.folder, after.best)
    after.optimize(n_trials=3)
    assert after.result["finished"] == 3
    assert holds_best(after.folder, after.best)


def test_what_a_user_put_beside_the_winner_is_kept(copied, caplog):
    notes = copied.folder.best / "notes" / "thesis.txt"
    notes.parent.mkdir()
    notes.write_text("precious")
    (copied.folder.best / "predict.py").unlink()
    copied.optimize(n_trials=2)
    assert holds_best(copied.folder, copied.best)
    kept = copied.folder.path / "best.before-1" / "notes" / "thesis.txt"
    assert kept.read_text() == "precious"
    assert "was kept as" in caplog.text
    assert not notes.exists()
