"""Files that are no model, each refused with its name and what to do."""

import random
import zipfile

import pytest
import torch
from torch import nn

from hamerspace.errors import SourceError
from hamerspace.tasks.sources import SourceSpec, detect_format


def spec(path, format_name=None, **more):
    return SourceSpec(format_name, path, None, None, path.parent, **more)


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["model.onnx", "model.pt", "model.pt2"])
def test_missing_and_empty_files_are_named(tmp_path, name):
    with pytest.raises(SourceError, match=rf"{name} does not exist"):
        detect_format(spec(tmp_path / name))
    with pytest.raises(SourceError, match=rf"{name} is empty"):
        detect_format(spec(written(tmp_path, name, b"")))


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(SourceError, match="is a folder"):
        detect_format(spec(tmp_path))


@pytest.mark.parametrize("seed", range(5))
def test_random_bytes_are_refused(tmp_path, seed):
    content = b"\xff" + random.Random(seed).randbytes(4000)
    with pytest.raises(SourceError, match=r"model\.pt.*damaged"):
        detect_format(spec(written(tmp_path, "model.pt", content)))


def test_weights_without_a_model_say_so(tmp_path):
    content = (8).to_bytes(8, "little") + b"{}      " + bytes(8)
    with pytest.raises(SourceError, match="'builder'"):
        detect_format(spec(written(tmp_path, "model.bin", content)))


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"\x89HDF\r\n\x1a\n", "keras"), (bytes((28, 0, 0, 0)) + b"TFL3", "tflite")],
)
def test_tensorflow_files_are_told_apart_whatever_their_suffix(tmp_path, content, kind):
    path = written(tmp_path, "model.bin", content + bytes(64))
    assert detect_format(spec(path)) == kind
    with pytest.raises(SourceError, match=f"is a {kind} file"):
        detect_format(spec(path, "onnx"))


def test_a_saved_model_is_a_folder(tmp_path):
    path = written(tmp_path, "saved_model.pb", b"\x08\x01")
    assert detect_format(spec(tmp_path)) == "saved_model"
    with pytest.raises(SourceError, match="is the folder of a saved_model model"):
        detect_format(spec(tmp_path, "onnx"))
    with pytest.raises(SourceError, match="name its folder"):
        detect_format(spec(path))


@pytest.mark.parametrize("kind", ["torchscript", "torch_export", "pytorch"])
def test_torch_archives_are_told_apart_whatever_their_suffix(tmp_path, kind):
    net, x = nn.Linear(4, 2).eval(), torch.randn(2, 4)
    path = tmp_path / "model.bin"
    if kind == "torchscript":
        torch.jit.trace(net, x).save(str(path))
    elif kind == "torch_export":
        file = tmp_path / "model.pt2"
        torch.export.save(torch.export.export(net, (x,)), file)
        path = file.rename(path)
    else:
        torch.save(net, path)
    assert detect_format(spec(path)) == kind
    with pytest.raises(SourceError, match=f"is a {kind} file"):
        detect_format(spec(path, "onnx"))


def test_truncated_and_damaged_archives_are_refused(tmp_path):
    whole = tmp_path / "whole.pt"
    torch.jit.trace(nn.Linear(64, 64), torch.randn(2, 64)).save(str(whole))
    content = whole.read_bytes()
    with pytest.raises(SourceError, match=r"cut\.pt is a damaged or truncated archive"):
        detect_format(spec(written(tmp_path, "cut.pt", content[: len(content) // 2])))
    with zipfile.ZipFile(whole) as archive:
        largest = max(archive.infolist(), key=lambda entry: entry.file_size)
    middle = largest.header_offset + 200 + largest.file_size // 2
    flipped = content[:middle] + bytes((content[middle] ^ 0xFF,)) + content[middle + 1 :]
    with pytest.raises(SourceError, match="is damaged"):
        detect_format(spec(written(tmp_path, "flipped.pt", flipped)))


def test_other_zip_files_are_refused(tmp_path):
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(SourceError, match="neither torch nor Keras"):
        detect_format(spec(path))


def test_a_builder_makes_a_pytorch_model_only(tmp_path):
    assert detect_format(SourceSpec(None, None, "net:build", None, tmp_path)) == "pytorch"
    with pytest.raises(SourceError, match="'format' is 'onnx'"):
        detect_format(SourceSpec("onnx", None, "net:build", None, tmp_path))
