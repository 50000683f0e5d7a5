import io
import pickle
import zipfile

import numpy as np
import pytest

from hamerspace.config.study import DataSection
from hamerspace.errors import ConfigError, DataError
from hamerspace.tasks.data.reading import ALL, read_data, read_npz

X = np.zeros((3, 2), np.float32)


def save(tmp_path, **arrays):
    np.savez(tmp_path / "d.npz", **arrays)
    return tmp_path / "d.npz"


def load(tmp_path, code):
    (tmp_path / "task.py").write_text("import numpy as np\nX = np.zeros((3, 2))\n" + code)
    return read_data(DataSection(load="task:load"), tmp_path)


def test_plain_names_are_one_set(tmp_path):
    save(tmp_path, image=X, labels=X[:, 0])
    raw = read_data(DataSection(path="d.npz"), tmp_path)
    assert list(raw) == [ALL]
    assert list(raw[ALL]) == ["image", "labels"]


def test_prefixes_are_splits(tmp_path):
    raw = read_npz(save(tmp_path, **{"train/image": X, "search/image": X + 1}))
    assert list(raw) == ["train", "search"]
    assert (raw["search"]["image"] == 1).all()


def test_a_slash_may_be_part_of_a_tensor_name(tmp_path):
    assert list(read_npz(save(tmp_path, **{"serving/input": X}))[ALL]) == ["serving/input"]
    raw = read_npz(save(tmp_path, **{"search/serving/input": X}))
    assert list(raw["search"]) == ["serving/input"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["search/image", "image"], "array 'image' belongs to no split"),
        (["search/image", "confrim/image"], "unknown split 'confrim'; did you mean 'confirm'"),
        (["test/image"], "unknown split 'test'; did you mean 'confirm'"),
        ([], "holds no arrays"),
    ],
)
def test_names_that_are_neither(tmp_path, names, words):
    with pytest.raises(DataError, match=words):
        read_npz(save(tmp_path, **dict.fromkeys(names, X)))


def test_pickled_objects_are_refused(tmp_path):
    objects = np.array([{"a": 1}], dtype=object)
    with pytest.raises(DataError, match=r"array 'image' cannot be read.*allow_pickle"):
        read_npz(save(tmp_path, image=objects))


def test_files_that_are_no_npz(tmp_path):
    path = tmp_path / "d.npz"
    with pytest.raises(DataError, match="no such file"):
        read_npz(path)
    for content in (b"", b"garbage", b"PK\x03\x04 torn", pickle.dumps([1])):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"d\.npz: not an \.npz file"):
            read_npz(path)
    with pytest.raises(DataError, match=r"not an \.npz file"):
        read_npz(tmp_path)
    single = io.BytesIO()
    np.save(single, X)
    path.write_bytes(single.getvalue())
    with pytest.raises(DataError, match="one array without a name"):
        read_npz(path)


def test_a_damaged_archive_names_the_array(tmp_path):
    path = save(tmp_path, image=np.arange(1000))
    content = bytearray(path.read_bytes())
    content[500:600] = b"\xff" * 100
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="array 'image' cannot be read"):
        read_npz(path)


def test_what_is_packed_oddly_names_the_array(tmp_path):
    path = save(tmp_path, image=X)
    whole = path.read_bytes()
    local, central = whole.find(b"PK\x03\x04"), whole.find(b"PK\x01\x02")
    for local_at, central_at, value in ((6, 8, 1), (8, 10, 99)):  # encrypted; an unknown method
        content = bytearray(whole)
        content[local + local_at] = content[central + central_at] = value
        path.write_bytes(bytes(content))
        with pytest.raises(DataError, match="array 'image' cannot be read"):
            read_npz(path)


@pytest.mark.parametrize("shape", [(40_000_000_000, 8), (-4, 8), (2**62, 2**62)])
def test_a_header_that_promises_too_much_is_no_array(tmp_path, shape):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as archive:
        archive.writestr("image.npy", b"\x93NUMPY\x01\x00v\x00" + header.encode() + bytes(100))
    with pytest.raises(DataError, match="array 'image' cannot be read"):
        read_npz(tmp_path / "d.npz")


def test_other_files_in_the_archive_are_named(tmp_path):
    path = save(tmp_path, image=X)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(DataError, match=r"'readme\.txt' in it is no array"):
        read_npz(path)


def test_a_device_is_not_read(tmp_path):
    (tmp_path / "d.npz").symlink_to("/dev/zero")
    with pytest.raises(DataError, match=r"not an \.npz file"):
        read_npz(tmp_path / "d.npz")


@pytest.mark.parametrize("kind", ["U", "S", "M8[s]", "complex64", "f4,i4"])
def test_what_is_no_number_is_refused_with_what_to_do(tmp_path, kind):
    save(tmp_path, image=X, words=np.zeros(3, kind))
    with pytest.raises(DataError, match=r"array 'words': dtype .* is not numeric; give numbers"):
        read_data(DataSection(path="d.npz"), tmp_path)
    with pytest.raises(DataError, match="is not numeric"):
        load(tmp_path, f"def load(): return {{'words': np.zeros(3, {kind!r})}}")


def test_objects_are_refused_as_no_numbers(tmp_path):
    with pytest.raises(DataError, match="array 'words': dtype object is not numeric"):
        load(tmp_path, "def load(): return {'search': {'words': np.array([None, [1]], object)}}")


def test_functions_return_splits_or_one_set(tmp_path):
    assert list(load(tmp_path, "def load(): return {'image': X}")[ALL]) == ["image"]


def test_functions_may_return_splits(tmp_path):
    raw = load(tmp_path, "def load(): return {'search': {'a': X}, 'confirm': {'a': X}}")
    assert list(raw) == ["search", "confirm"]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def load(): raise OSError('disk')", r"'task:load' raised OSError\('disk'\)"),
        ("def load(): return X", "returned a value of type ndarray; it must return"),
        ("def load(): return {}", "returned an empty mapping"),
        ("def load(): return {'image': [1, 2]}", "value of type list as 'image'"),
        ("def load(): return {'search': {'a': X}, 'b': X}", "mixed arrays and splits"),
        ("def load(): return {'val': {'a': X}}", "unknown split 'val'; did you mean 'search'"),
        ("load = 3", "is not a function"),
        (
            "import torch\ndef load(): return {'x': torch.ones(3, requires_grad=True)}",
            "returned 'x', which cannot become a numpy array",
        ),
    ],
)
def test_wrong_functions_are_named(tmp_path, code, words):
    with pytest.raises((DataError, ConfigError), match=words):
        load(tmp_path, code)


def test_a_missing_function_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"task\.data\.load: 'task' has no 'load'"):
        load(tmp_path, "")
