import numpy as np
import pytest

from hamerspace.errors import DataError
from hamerspace.tasks.data.fit import check_fits
from hamerspace.tasks.data.splits import write_splits
from hamerspace.tasks.model import SourceInfo, TensorSpec

GOOD = {
    "image": np.zeros((6, 3, 4), np.float32),
    "mask": np.zeros((6, 9), np.int64),
    "labels": np.zeros(6),
}


def info(batch=None):
    inputs = (
        TensorSpec("image", "float32", (batch, 3, 4)),
        TensorSpec("mask", "int64", (batch, None)),
    )
    return SourceInfo("onnx", inputs, (), 10, 40, ("conv",))


@pytest.fixture
def splits(tmp_path):
    def splits(label="labels", batch_size=1, **changed):
        arrays = {name: a for name, a in {**GOOD, **changed}.items() if a is not None}
        label = label if label in arrays else None
        both = {"search": arrays, "confirm": GOOD}
        return write_splits(tmp_path, both, label, (), batch_size)

    return splits


def message(splits, source=None):
    with pytest.raises(DataError) as error:
        check_fits(splits, source or info())
    return str(error.value)


def test_data_that_fit(splits):
    check_fits(splits(), info())
    check_fits(splits(batch_size=4), info(batch=4))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"image": np.zeros((6, 3, 4))},
            "float64, but the model takes float32; save it as array.a",
        ),
        ({"mask": np.zeros((6, 9), np.int32)}, "'mask': int32, but the model takes int64"),
        ({"image": np.zeros((6, 12), "f4")}, "shape [12], but the model takes [3, 4]"),
        ({"image": np.zeros((6, 3, 5), "f4")}, "shape [3, 5], but the model takes [3, 4]"),
        ({"mask": np.zeros((6,), np.int64)}, "shape [], but the model takes [?]"),
        (
            {"mask": None, "maks": GOOD["mask"]},
            "no array 'mask', which the model takes (its inputs: image, mask); if it is 'maks',",
        ),
        ({"y": GOOD["labels"]}, "array 'y': the model has no such input (it has image, mask)"),
        ({"y": GOOD["labels"]}, "set task.data.labels: y"),
    ],
)
def test_misfits_name_split_array_and_remedy(splits, changed, words):
    text = message(splits(**changed))
    assert words in text
    assert text.startswith("split 'search'")
    assert text.count("\n") == 0


def test_a_fixed_batch_must_be_the_batch_size(splits):
    text = message(splits(batch_size=8), info(batch=4))
    assert "'image' of the model has a fixed batch of 4, but task.batch_size is 8" in text
    assert "set batch_size: 4" in text


def test_every_misfit_is_listed(splits):
    text = message(splits(image=np.zeros((6, 3, 5)), mask=None))
    assert len(text.splitlines()) == 3


def test_a_model_without_a_batch_is_refused(splits):
    scalar = SourceInfo("onnx", (TensorSpec("image", "float32", ()),), (), 1, 1, ())
    assert "'image' of the model has no batch dimension" in message(splits(), scalar)
