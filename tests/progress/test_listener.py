import logging

from hamerspace.progress import listening


def test_plain_python_logs_and_prints_nothing(study, record, caplog, capsys):
    caplog.set_level(logging.INFO, "hamerspace")
    with listening(study, None, 6, None, display=True) as watch:
        watch.phase("searching")
        watch.trial_started(0, record().recipe, "baseline")
        watch.trial_finished(0, record())
        watch.trial_finished(1, record(failing=True))
    assert [r.getMessage() for r in caplog.records] == [
        "searching",
        "trial 0: onnxruntime fp32 (baseline)",
        "trial 0: measured",
        "trial 1: simulated failure",
    ]
    assert capsys.readouterr() == ("", "")


def test_the_log_names_a_trial_by_the_precision_that_is_stored(study, record, caplog):
    caplog.set_level(logging.INFO, "hamerspace")
    study.folder.path.mkdir()
    facts = {
        "source": {"format": "onnx", "parameters": 1},
        "space": {"name": "cpu"},
        "metric": {"name": "accuracy", "direction": "maximize", "drop_unit": "points"},
        "precisions": {"onnxruntime": "bf16"},
    }
    study.folder.write("facts.json", facts)
    with listening(study, None, 6, None, display=True) as watch:
        watch.phase("searching")
        watch.trial_started(0, record().recipe, "baseline")
    assert caplog.records[-1].getMessage() == "trial 0: onnxruntime bf16 (baseline)"


def test_the_callers_own_listener_goes_first(study):
    mine = object()
    with listening(study, mine, 6, None, display=True) as watch:
        assert watch is mine
