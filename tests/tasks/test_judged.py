"""The output that is judged: the first that fits, or the one that is named."""

from dataclasses import replace

import numpy as np
import pytest

from hamerspace.errors import ConfigError, SourceError
from hamerspace.tasks.judged import are_several, judged_notes, judged_output, trusting
from hamerspace.tasks.model import SAME, Findings, SourceInfo, TensorSpec

ANCHORS = TensorSpec("anchors", "float32", (30, 4), row_axis=None)
FRAMES = TensorSpec("frames", "float32", (20, None, 5), row_axis=1)
SCORES = TensorSpec("scores", "float32", (None, 10))
UNFIT = {"anchors": "is the same whatever the rows", "maps": "is a sequence, not a tensor"}


def info(*outputs, unfit=UNFIT, **more):
    image = TensorSpec("image", "float32", (None, 3))
    found = Findings(dict(unfit), **more)
    return SourceInfo("onnx", (image,), outputs, 9, 36, (), findings=found)


def test_the_first_with_rows_is_judged_and_said():
    given = info(ANCHORS, SCORES, replace(SCORES, name="copy"))
    assert judged_output(None, given) == SCORES
    (note,) = judged_notes(None, given)
    assert "'scores' is judged" in note
    assert "'anchors' is the same whatever the rows" in note
    assert "so could 'copy': task.quality.output" in note


def test_without_a_name_and_a_label_all_outputs_may_be_judged_together():
    noise = replace(SCORES, name="noise")
    given = info(ANCHORS, SCORES, FRAMES, noise, random=("noise",))
    assert are_several(None, given)
    assert not are_several("scores", given)
    assert not are_several(None, info(ANCHORS, SCORES, noise, random=("noise",)))
    (note, other) = judged_notes(None, given, together=True)
    assert "'scores', 'frames' are judged together" in note
    assert "'noise'" in other


def test_a_lone_output_needs_no_word():
    assert list(judged_notes(None, info(SCORES, unfit={}))) == []


def test_rows_on_another_axis_are_moved_to_the_front_and_said():
    assert judged_output(None, info(FRAMES, unfit={})).rows_first.shape == (None, 20, 5)
    (note,) = judged_notes("frames", info(SCORES, FRAMES, unfit={}))
    assert "along its axis 1; it is judged as frames: float32[?, 20, 5]" in note


@pytest.mark.parametrize("name", ["anchors", "maps"])
def test_a_named_output_without_rows_is_refused_with_one_that_fits(name):
    with pytest.raises(ConfigError, match=rf"output: '{name}' is .*name 'scores' or 'frames'"):
        judged_output(name, info(ANCHORS, SCORES, FRAMES))


def test_an_unknown_name_is_refused():
    with pytest.raises(ConfigError, match=r"no output 'score'.*did you mean 'scores'"):
        judged_output("score", info(SCORES))


def test_where_none_fits_all_are_named():
    with pytest.raises(SourceError) as refusal:
        judged_output(None, info(ANCHORS))
    for words in ("task.quality.output", "anchors: float32[30, 4] is the same", "maps is a seq"):
        assert words in str(refusal.value)


def test_what_gave_the_same_for_few_rows_is_judged_where_it_is_all_there_is():
    assert judged_output(None, info(SCORES, unfit={"scores": "is the same"})) == SCORES


def test_a_rare_answer_is_judged_where_labels_want_it_alone():
    event, aux = (
        TensorSpec("event", "float32", (None, 2)),
        TensorSpec("aux", "float32", (None, 7, 7)),
    )
    given = info(event, aux, unfit={"event": SAME})
    assert judged_output(None, trusting(given, np.zeros(9, int))) == event
    assert judged_output(None, trusting(given, np.zeros((9, 7, 7)))) == aux
    assert judged_output(None, trusting(given, None)) == aux
    beside = info(event, SCORES, unfit={"event": SAME})
    assert judged_output(None, trusting(beside, np.zeros(9, int))) == SCORES


def test_classes_are_judged_by_scores_and_not_by_one_number_that_comes_first():
    age = TensorSpec("age", "float32", (None,))
    given = info(age, SCORES, unfit={})
    classes = trusting(given, np.arange(10))
    assert judged_output(None, classes) == SCORES
    (note,) = judged_notes(None, classes)
    assert "'age' has one number for each row, where the labels are classes" in note
    assert judged_output("age", classes) == age
    assert judged_output(None, trusting(given, np.arange(10), metric="rmse")) == age
    for others in (np.arange(90), np.linspace(0, 1, 9), np.arange(10) - 1, None):
        assert judged_output(None, trusting(given, others)) == age
    pair = info(age, TensorSpec("two", "float32", (None, 2)), unfit={})
    assert judged_output(None, trusting(pair, np.array([0, 1]))) == age


def test_complex_numbers_are_never_judged_unasked():
    spectrum = TensorSpec("spectrum", "complex64", (None, 9))
    unfit = {"spectrum": "holds complex64, no numbers", "scores": "is the same"}
    assert judged_output(None, info(spectrum, SCORES, unfit=unfit)) == SCORES
    with pytest.raises(SourceError, match="holds complex64"):
        judged_output(None, info(spectrum, unfit=unfit))


def test_two_answers_to_one_row_are_refused_or_told():
    given = info(SCORES, replace(SCORES, name="sample"), unfit={}, random=("sample",))
    with pytest.raises(SourceError, match=r"two answers to one row: output 'sample'.*model\.eval"):
        list(judged_notes("sample", given))
    assert any("two answers to one row in 'sample'" in n for n in judged_notes(None, given))


def test_findings_survive_json_and_older_files_have_none():
    given = info(ANCHORS, FRAMES, random=("frames",))
    assert SourceInfo.from_dict(given.to_dict()) == given
    value = given.to_dict()
    del value["findings"]
    for output in value["outputs"]:
        del output["row_axis"]
    assert [s.row_axis for s in SourceInfo.from_dict(value).outputs] == [0, 0]
