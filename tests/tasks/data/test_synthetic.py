import tracemalloc

import numpy as np
import pytest

from hamerspace.errors import DataError
from hamerspace.tasks.data.fit import check_fits
from hamerspace.tasks.data.splits import Splits
from hamerspace.tasks.data.synthetic import random_data
from hamerspace.tasks.model import SourceInfo, TensorSpec

INPUTS = (TensorSpec("x", "float32", (None, 3)), TensorSpec("ids", "int64", (None, None)))


def test_random_data_fit_the_model_and_warn(tmp_path):
    splits = random_data(INPUTS, tmp_path, 0, 1)
    assert splits.rows == {"calibration": 64, "search": 128, "confirm": 128}
    assert splits.synthetic
    assert Splits.load(tmp_path).synthetic
    assert splits.warnings[0].startswith("THERE ARE NO DATA: every figure")
    check_fits(splits, SourceInfo("onnx", INPUTS, (), 1, 1, ()))


def test_splits_differ_and_the_seed_decides(tmp_path):
    one = random_data(INPUTS, tmp_path / "a", 0, 1)
    same = random_data(INPUTS, tmp_path / "b", 0, 1)
    other = random_data(INPUTS, tmp_path / "c", 1, 1)
    assert one.fingerprints == same.fingerprints != other.fingerprints
    assert not np.array_equal(one.arrays("search")["x"], one.arrays("confirm")["x"])


def test_wide_rows_are_few_and_said(tmp_path, monkeypatch):
    monkeypatch.setattr("hamerspace.tasks.data.synthetic.MOST_BYTES", 10 * 4 * 1000)
    splits = random_data((TensorSpec("x", "float32", (None, 1000)),), tmp_path, 0, 4)
    assert splits.rows == {"calibration": 8, "search": 8, "confirm": 8}
    assert any("only 8 were drawn" in note for note in splits.notes)


def test_a_wide_row_is_never_held_in_double_precision():
    spec = TensorSpec("x", "float32", (None, 1_000_000))
    tracemalloc.start()
    drawn = spec.sample(16, np.random.default_rng(0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < drawn.nbytes + 3 * drawn[0].nbytes
    whole = np.random.default_rng(0).standard_normal(drawn.shape)
    np.testing.assert_array_equal(drawn, whole.astype(np.float32))


def test_an_input_without_a_batch_is_refused(tmp_path):
    with pytest.raises(DataError, match="'k' has no batch dimension"):
        random_data((TensorSpec("k", "float32", ()),), tmp_path, 0, 1)
