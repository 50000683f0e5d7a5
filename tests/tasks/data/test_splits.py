import numpy as np
import pytest

from hamerspace.errors import DataError
from hamerspace.tasks.data.splits import Splits, write_splits

RNG = np.random.default_rng(0)
SEARCH = {"in/a:0": RNG.random((6, 3)).astype(np.float32), "b": np.arange(6), "y": np.arange(6)}
CONFIRM = {name: array[::-1] for name, array in SEARCH.items()}


def write(folder, search=SEARCH):
    return write_splits(folder, {"search": search, "confirm": CONFIRM}, "y", ("a note",), 2)


def test_a_round_trip(tmp_path):
    splits = write(tmp_path).with_notes(("first",), ("beware",))
    assert Splits.load(tmp_path) == splits
    assert (splits.notes, splits.warnings) == (("first", "a note"), ("beware",))
    assert splits.names == ("search", "confirm")
    assert splits.inputs == ("in/a:0", "b")
    assert list(splits.input_paths("search")) == ["in/a:0", "b"]
    assert np.array_equal(splits.labels_of("confirm"), CONFIRM["y"])
    assert all(np.array_equal(splits.arrays("search")[name], SEARCH[name]) for name in SEARCH)


def test_arrays_are_mapped_and_cannot_be_changed(tmp_path):
    array = write(tmp_path).arrays("search")["b"]
    assert isinstance(array, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_fingerprints_follow_the_values_only(tmp_path):
    one = write(tmp_path / "a")
    same = write(tmp_path / "b", {name: np.asfortranarray(a) for name, a in SEARCH.items()})
    swapped = write(
        tmp_path / "c", {n: a.astype(a.dtype.newbyteorder()) for n, a in SEARCH.items()}
    )
    assert one.fingerprints == same.fingerprints == swapped.fingerprints
    changed = write(tmp_path / "d", {**SEARCH, "b": SEARCH["b"] + 1})
    assert changed.fingerprints != one.fingerprints
    assert changed.fingerprint_of("search") != one.fingerprint_of("search")
    assert changed.fingerprint_of("confirm") == one.fingerprint_of("confirm")


def test_another_dtype_is_another_fingerprint(tmp_path):
    cast = {**SEARCH, "b": SEARCH["b"].astype(np.uint64)}
    one, other = write(tmp_path / "a"), write(tmp_path / "b", cast)
    assert one.fingerprint_of("search") != other.fingerprint_of("search")


def test_an_unknown_split_is_named(tmp_path):
    with pytest.raises(DataError, match="no split 'train'; there are search, confirm"):
        write(tmp_path).arrays("train")


def test_broken_folders_are_named(tmp_path):
    with pytest.raises(DataError, match="holds no prepared data"):
        Splits.load(tmp_path)
    splits = write(tmp_path)
    file = tmp_path / splits.files["search"]["b"]
    file.write_bytes(file.read_bytes()[:40])
    with pytest.raises(DataError, match="cannot be read"):
        splits.arrays("search")
    (tmp_path / "splits.json").write_text('{"rows": ')
    with pytest.raises(DataError, match="holds no prepared data"):
        Splits.load(tmp_path)
