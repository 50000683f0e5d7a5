"""What labels are told to be, and which of them are left out."""

import numpy as np
import pytest

from hamerspace.errors import MetricError
from hamerspace.tasks.data.reading import ALL
from hamerspace.tasks.metrics.labels import class_axis, ignored, kind_of, without_ignored
from hamerspace.tasks.model import TensorSpec

SCORES = TensorSpec("scores", "float32", (None, 3))
LABELS = np.array([0, 1, 2, 255, 1, 255])


def test_rows_whose_label_is_no_class_are_left_out_and_told():
    raw = {ALL: {"x": np.arange(6), "labels": LABELS}}
    kept, notes = without_ignored(raw, "labels", SCORES)
    assert kept[ALL]["x"].tolist() == [0, 1, 2, 4]
    assert "2 of 6 labels are 255, which is no class of the model" in notes[0]
    assert "with them 2 rows" in notes[0]


@pytest.mark.parametrize(
    ("labels", "output"),
    [
        (LABELS % 3, SCORES),
        (np.array([-1, 0, 1, 0]), SCORES),  # counted from -1
        (LABELS, TensorSpec("scores", "float32", (None, 300))),  # a class
        (LABELS, TensorSpec("age", "float32", (None, 1))),  # a number
        (np.arange(256), TensorSpec("ids", "int64", (None,))),  # a class among many
    ],
)
def test_what_can_be_a_class_or_a_number_is_kept(labels, output):
    raw = {"search": {"x": labels, "labels": labels}}
    assert without_ignored(raw, "labels", output) == (raw, [])


@pytest.mark.parametrize(
    ("labels", "shape"),
    [
        (255 * (np.arange(48).reshape(3, 4, 4) % 5 == 0), (None, 2, 4, 4)),
        (np.array([-1, 1, 1, -1]), (None, 2)),
    ],
)
def test_what_leaves_a_single_class_is_refused(labels, shape):
    raw = {"search": {"labels": labels}, "confirm": {"labels": labels}}
    with pytest.raises(MetricError, match=r"one class at most.*// 255.*// 2"):
        without_ignored(raw, "labels", TensorSpec("s", "float32", shape))


def test_ids_are_left_to_the_metric_which_knows_the_source():
    raw = {"search": {"labels": np.array([-1, 1, 1, -1])}}
    assert without_ignored(raw, "labels", TensorSpec("s", "int64", (None,))) == (raw, [])


def test_small_whole_numbers_may_be_quantised_scores():
    one_hot = np.eye(3)[[0, 1, 2, 1]]
    assert kind_of(one_hot, (None, 3), "uint8") == "classes"
    assert kind_of(one_hot[:, :1], (None, 1), "int8") == "binary"
    assert kind_of(np.ones((4, 3), int), (None, 3), "uint8") == "tags"
    sound = np.arange(4000).reshape(4, 1000)
    assert kind_of(sound, (None, 1000), "int16") == "numbers"
    assert kind_of(sound % 30, (None, 1000), "int64") == "ids"
    maps = np.arange(4 * 6 * 6).reshape(4, 6, 6) % 21
    assert kind_of(maps, (None, 6, 6), "uint8") == "ids"


def test_of_maps_only_rows_without_any_class_are_left_out():
    labels = np.arange(3)[:, None, None] * np.ones((1, 4, 4), int)
    labels[0, 0], labels[1] = -100, 255
    raw = {"search": {"labels": labels}}
    kept, notes = without_ignored(raw, "labels", TensorSpec("s", "float32", (None, 3, 4, 4)))
    assert kept["search"]["labels"].shape == (2, 4, 4)
    assert "20 of 48 labels of 'search' are -100, 255" in notes[0]


def test_a_byte_of_no_class_is_known_by_its_distance_from_the_classes():
    assert ignored(np.array([0, 18, 255]), None).tolist() == [False, False, True]
    assert not ignored(np.array([0, 251, 255]), None).any()


def test_axis_of_the_classes():
    assert class_axis((None, 3, 8, 8), (4, 8, 8)) == 1
    assert class_axis((None, 8, 8, 3), (4, 8, 8)) == 3
    assert class_axis((None, 6, 6), (4, 6)) == 2
    assert class_axis((None, 3), (4, 5)) is None
    assert class_axis((None,), (4,)) is None


def test_tags_are_no_classes():
    tags = np.array([[0, 1, 1], [1, 0, 0]])
    assert kind_of(tags, (None, 3)) == "tags"
    assert kind_of(tags[1:], (None, 3)) == "classes"
    assert kind_of(tags[:, :1], (None,)) == "binary"
