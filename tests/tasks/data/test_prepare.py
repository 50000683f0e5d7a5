import numpy as np
import pytest

from hamerspace.errors import DataError
from hamerspace.tasks.data.prepare import prepare_data


def rows_of(count, start=0, classes=5):
    """Inputs that tell their row, and balanced labels."""
    number = np.arange(start, start + count)
    return {"x": number.astype(np.float32)[:, None], "labels": number % classes}


@pytest.fixture
def prepare(tmp_path):
    def prepare(raw, labels="labels", seed=0, batch_size=1):
        return prepare_data(raw, labels, tmp_path / "data", seed, batch_size)

    return prepare


def ids(splits, split):
    return set(splits.arrays(split)["x"].ravel().astype(int).tolist())


def test_one_set_is_split_without_overlap_and_says_so(prepare):
    splits = prepare({"all": rows_of(1000)})
    assert splits.rows == {"calibration": 200, "search": 400, "confirm": 400}
    assert "train" not in splits.names
    parts = [ids(splits, name) for name in splits.names]
    assert len(set.union(*parts)) == sum(map(len, parts)) == 1000
    assert splits.notes[0].startswith("One set of 1,000 rows was split at random, stratified by")
    assert "400 search, 400 confirm, 200 calibration" in splits.notes[0]


def test_classes_keep_their_share_in_each_part(prepare):
    arrays = rows_of(1000)
    arrays["labels"] = (np.arange(1000) >= 900).astype(np.int64)
    splits = prepare({"all": arrays})
    for name in ("search", "confirm", "calibration"):
        assert splits.labels_of(name).mean() == pytest.approx(0.1, abs=0.005)


def test_a_head_of_a_part_is_a_fair_sample(prepare):
    labels = prepare({"all": rows_of(1000)}).labels_of("search")
    assert set(labels[:40].tolist()) == {0, 1, 2, 3, 4}


def test_rows_keep_their_labels(prepare):
    splits = prepare({"all": rows_of(100)})
    for name in splits.names:
        arrays = splits.arrays(name)
        assert (arrays["x"].ravel() % 5 == arrays["labels"]).all()


def test_rare_classes_are_not_stratified(prepare):
    arrays = rows_of(100)
    arrays["labels"][0] = 77
    assert "stratified" not in prepare({"all": arrays}).notes[0]


def test_calibration_is_bounded_and_of_whole_batches(prepare):
    splits = prepare({"all": rows_of(5000)}, batch_size=32)
    assert splits.rows["calibration"] == 288
    assert "712 are unused" in splits.notes[0]


def test_the_seed_decides(tmp_path):
    def fingerprint(name, seed):
        return prepare_data({"all": rows_of(50)}, "labels", tmp_path / name, seed, 1).fingerprints

    assert fingerprint("a", 0) == fingerprint("b", 0) != fingerprint("c", 1)


def test_given_splits_keep_their_rows_and_search_is_shuffled(prepare):
    raw = {
        "train": rows_of(30),
        "calibration": rows_of(10, 30),
        "search": rows_of(200, 40),
        "confirm": rows_of(200, 240),
    }
    splits = prepare(raw)
    assert splits.notes == ()
    for name, arrays in raw.items():
        found = splits.arrays(name)
        order = np.argsort(found["x"].ravel()) if name == "search" else slice(None)
        for key, array in arrays.items():
            assert np.array_equal(found[key][order], array)
    head = splits.arrays("search")["x"].ravel()[:20]
    assert head.max() - head.min() > 100


def test_calibration_comes_from_train(prepare):
    raw = {"train": rows_of(500), "search": rows_of(200, 500), "confirm": rows_of(200, 700)}
    splits = prepare(raw)
    assert splits.rows["calibration"] == 256
    assert ids(splits, "calibration") < ids(splits, "train")
    assert "256 rows were drawn from 'train'" in splits.notes[0]


def test_without_train_calibration_comes_from_search_with_a_note(prepare):
    splits = prepare({"search": rows_of(200), "confirm": rows_of(200, 200)})
    assert ids(splits, "calibration") <= ids(splits, "search")
    assert "drawn from 'search'" in splits.notes[0]


def test_a_missing_confirm_is_half_of_search(prepare):
    splits = prepare({"search": rows_of(400), "calibration": rows_of(10, 400)})
    assert splits.rows["search"] == splits.rows["confirm"] == 200
    assert not ids(splits, "search") & ids(splits, "confirm")
    assert "'search' were halved at random" in splits.notes[0]


def test_data_without_labels(prepare):
    raw = {"all": {"x": rows_of(500)["x"]}}
    splits = prepare(raw)
    assert splits.label is None
    assert splits.labels_of("search") is None
    assert any("quality is agreement with the source model" in note for note in splits.notes)


def test_few_rows_are_told(prepare):
    assert any("'search' has only 20 rows" in n for n in prepare({"all": rows_of(50)}).notes)


X = np.zeros((10, 2), np.float32)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"all": rows_of(9)}, "the data have 9 rows; at least 10"),
        ({"train": rows_of(50)}, "no split 'search'"),
        ({"search": rows_of(7)}, "has 7 rows and there is no 'confirm'; at least 8"),
        ({"search": rows_of(50), "confirm": rows_of(3)}, "split 'confirm' has 3 rows"),
        ({"search": rows_of(50), "confirm": rows_of(50)}, "hold the same rows"),
        ({"all": {"x": X, "labels": np.zeros(9)}}, "number of rows: 'x' 10, 'labels' 9"),
        ({"search": {"x": X, "labels": np.zeros(9)}}, "split 'search': its arrays differ"),
        ({"search": {"x": X[:0]}}, r"split 'search', array 'x': is empty \(shape \(0, 2\)\)"),
        ({"all": {"x": X, "k": np.float32(1)}}, "array 'k': is a single number"),
        ({"all": {"labels": np.zeros(10)}}, "labels but no inputs"),
        ({"search": {}}, "split 'search' holds no arrays"),
        ({"search": {"x": X}, "confirm": {"y": X}}, "differ in their arrays: 'x'"),
        ({"search": rows_of(10), "confirm": {"x": X[:, :1]}}, "'confirm' has no labels"),
    ],
)
def test_what_is_refused(prepare, raw, words):
    with pytest.raises(DataError, match=words):
        prepare(raw)


def holed(array, row, value=np.nan):
    array = np.array(array, np.float32)
    array[row] = value
    return array


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_a_label_that_is_not_finite_is_named_by_the_users_own_row(prepare, value):
    good = rows_of(3000)
    with pytest.raises(DataError, match=r"^array 'labels': row 2001, counted from 0, holds NaN"):
        prepare({"all": {**good, "labels": holed(good["labels"], 2001, value)}})
    search = {**good, "labels": holed(good["labels"], 5, value)}
    with pytest.raises(DataError, match=r"^split 'search', array 'labels': row 5,"):
        prepare({"search": search, "confirm": rows_of(200, 3000)})


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_no_range_is_taken_from_rows_that_are_not_finite(prepare, value):
    good = rows_of(3000)
    splits = prepare({"all": {**good, "x": holed(good["x"], slice(0, 1500), value)}})
    assert np.isfinite(splits.arrays("calibration")["x"]).all()
    assert not np.isfinite(splits.arrays("search")["x"]).all()
    (note,) = (note for note in splits.notes if "hold NaN or infinity" in note)
    left_out = int(note.split(" rows of 'calibration'")[0])
    assert splits.rows["calibration"] + left_out == 300


def test_batches_that_belong_together_stay_together_and_in_order(tmp_path):
    splits = prepare_data(
        {"all": rows_of(1003)}, "labels", tmp_path / "data", 0, 10, whole_batches=True
    )
    assert splits.rows == {"calibration": 200, "search": 400, "confirm": 400}
    for name in splits.names:
        rows = splits.arrays(name)["x"].ravel().astype(int).reshape(-1, 10)
        assert (rows == rows[:, :1] + np.arange(10)).all()
        assert (rows[:, 0] % 10 == 0).all()
    assert sorted(rows[:, 0].tolist()) != rows[:, 0].tolist()  # the batches are shuffled


def test_fewer_rows_than_one_batch_is_refused(tmp_path):
    with pytest.raises(DataError, match="fewer than one batch of 32"):
        prepare_data({"all": rows_of(20)}, "labels", tmp_path, 0, 32, whole_batches=True)
