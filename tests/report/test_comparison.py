from dataclasses import replace

import pytest

from hamerspace.report.comparison import ComparedRun, compare

SETTINGS = {"task.source.path": "model.onnx", "task.batch_size": 1, "space": "quick"}
DIGESTS = {"task (model, data or metric)": "a", "space": "b", "backends": None}


@pytest.fixture
def side(run):
    """``side(folder, changed run, **fields)`` is one side of a comparison."""

    def make(folder, changed=None, **fields):
        common = {"finished": True, "settings": SETTINGS, "digests": DIGESTS, "search_s": 60.0}
        return ComparedRun(folder, changed or run, **common | fields)

    return make


def test_a_row_for_each_figure_and_a_text_for_each_run(side, infeasible_run):
    found = compare([side("a"), side("b", infeasible_run), side("c", finished=False)])
    assert {len(texts) for texts in found.rows.values()} == {3}
    assert found.rows["winner"][1] == "none"
    assert found.rows["winner latency"][1] == "-"
    assert "ms (" in found.rows["winner latency"][0]
    assert found.rows["state"][2] == "half-finished: 40 trials, confirmed before the last of them"
    assert any("c is not finished" in warning for warning in found.warnings)


def test_an_interrupted_run_has_nothing_confirmed(side, run):
    early = replace(run, confirmed=())
    assert side("a", early, finished=False).state == "half-finished: 40 trials, none confirmed"


def test_content_that_differs_under_equal_settings_is_told(side):
    other = {**DIGESTS, "task (model, data or metric)": "z"}
    found = compare([side("a"), side("b", digests=other)])
    (difference,) = found.differences
    assert difference.name.startswith("content of the model")
    assert any("tasks differ" in warning for warning in found.warnings)


def test_settings_that_differ_are_told_with_their_values(side):
    found = compare([side("a"), side("b", settings={**SETTINGS, "space": "cpu"}, digests=DIGESTS)])
    (difference,) = found.differences
    assert (difference.name, difference.values) == ("space", ("quick", "cpu"))


def test_other_machines_metrics_and_batches_do_not_compare(side, run):
    changed = replace(
        run,
        environment={**run.environment, "processor": "another", "load average": "9"},
        metric=replace(run.metric, name="f1_macro"),
    )
    batched = {**SETTINGS, "task.batch_size": 8}
    found = compare([side("a"), side("b", changed, settings=batched)])
    text = " ".join(found.warnings)
    for words in ("different machines", "metrics differ", "batch sizes differ"):
        assert words in text
    assert "load average" not in {difference.name for difference in found.differences}


def test_a_run_that_measured_nothing_is_not_told_to_be_of_another_machine(side, run):
    ended = replace(
        run,
        source=replace(run.source, values={}, confirm_values={}),
        metric=replace(run.metric, name="quality"),
        environment={},
        trials=(),
        confirmed=(),
    )
    found = compare([side("a"), side("b", ended)])
    text = " ".join(found.warnings)
    assert "machines" not in text
    assert "metrics" not in text


def test_hypervolumes_have_one_reference(side, run):
    looser = replace(run, constraints={**run.constraints, "max_accuracy_drop": 4.0})
    found = compare([side("a"), side("b", looser)])
    assert found.hypervolumes[0] == found.hypervolumes[1] > 0
    differ = next(warning for warning in found.warnings if "limits differ" in warning)
    assert differ.startswith("The limits differ (quality drop): ")
    fewer = replace(run, objectives=run.objectives[:2])
    assert compare([side("a"), side("b", fewer)]).hypervolumes == (None, None)
