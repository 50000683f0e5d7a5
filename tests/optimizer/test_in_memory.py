"""Models and data in memory become files that say the same, and the same file each time."""

import contextlib

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from hamerspace.errors import ConfigError, RunFolderError, SourceError
from hamerspace.optimizer.in_memory import (
    example_of,
    inputs_of,
    names_of,
    save_data,
    save_keras,
    save_onnx,
    save_torch_module,
)
from hamerspace.search.run_folder import RunFolder
from hamerspace.tasks.conversions import onnx_file
from hamerspace.tasks.data.reading import read_npz
from hamerspace.tasks.sources import SourceSpec, open_source
from hamerspace.tasks.torch_module import load_module
from tests import onnx_models


def test_a_module_is_exported_with_a_free_batch_and_left_as_it_was(net, rows, tmp_path):
    net.train()
    net.norm.eval()
    path = save_torch_module(net, {"image": rows[0][:2]}, tmp_path)
    assert path.suffix == ".pt2"
    assert net.training
    assert not net.norm.training
    loaded = torch.export.load(path).module()
    images = torch.from_numpy(rows[0][:7])
    torch.testing.assert_close(loaded(images), net.eval()(images))


def test_the_same_model_gives_the_same_file_and_another_one_another(net, rows, tmp_path):
    example = {"image": rows[0][:2]}
    first = save_torch_module(net, example, tmp_path)
    assert save_torch_module(net, example, tmp_path) == first
    with torch.no_grad():
        net.last.bias += 1
    assert save_torch_module(net, example, tmp_path) != first
    assert len(list(tmp_path.iterdir())) == 2


class Masked(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(4, 3)

    def forward(self, tokens, scale=None, mask=None, *, shift=None):
        kept = tokens if mask is None else tokens * mask
        shifted = kept if shift is None else kept + shift
        return self.last(shifted if scale is None else shifted * scale)


@pytest.mark.parametrize("more", [(), ("scale",), ("mask",), ("mask", "shift")])
def test_optional_arguments_that_the_data_hold_are_used(tmp_path, more):
    arrays = np.random.default_rng(0).standard_normal((4, 5, 4)).astype(np.float32)
    example = dict(zip(("tokens", *more), arrays, strict=False))
    net = Masked().eval()
    path = save_torch_module(net, {n: a[:2] for n, a in example.items()}, tmp_path)
    (tmp_path / "source").mkdir()
    artifact, info = open_source(
        SourceSpec(None, path, None, None, tmp_path), example, tmp_path / "source"
    )
    assert [spec.name for spec in info.inputs] == ["tokens", *more]
    wanted = net(**{n: torch.from_numpy(a) for n, a in example.items()}).detach().numpy()
    np.testing.assert_allclose(load_module(artifact).run(example)["output"], wanted, rtol=1e-5)


def test_names_are_told_however_the_data_are_given():
    nested = {"search": {"x": 0, "labels": 0}, "confirm": {"x": 0}}
    assert names_of(nested) == {"search", "confirm", "x", "labels"}
    assert names_of({"search/x": 0, "search/mask": 0}) == {"x", "mask"}
    assert names_of(({"x": 0}, None)) == {"x"}
    assert names_of("data.npz") == names_of(None) == set()


def test_a_module_that_fixes_its_batch_is_exported_at_one_row(tmp_path):
    class One(nn.Module):
        def forward(self, x):
            return x.reshape(1, 12) @ torch.ones(12, 2)

    path = save_torch_module(One(), {"x": np.ones((2, 3, 4), np.float32)}, tmp_path)
    loaded = torch.export.load(path).module()
    assert loaded(torch.ones(1, 3, 4)).tolist() == [[12.0, 12.0]]


def test_what_neither_export_nor_tracing_follows_is_told(tmp_path):
    class Broken(nn.Module):
        def forward(self, x):
            raise RuntimeError("not today")

    with pytest.raises(SourceError, match=r"not today.*can follow Broken"):
        save_torch_module(Broken(), {"x": np.ones((2, 3), np.float32)}, tmp_path)


def test_weights_in_bfloat16_have_a_digest_too(net, rows, tmp_path):
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 2).to(torch.bfloat16)

        def forward(self, x):
            return self.linear(x.to(torch.bfloat16)).float()

    assert save_torch_module(Half(), {"x": np.ones((2, 4), np.float32)}, tmp_path).is_file()


def test_an_onnx_model_is_written_as_it_is(tmp_path):
    model = onnx.load(onnx_models.conv_net(tmp_path / "source").file("model"))
    assert onnx.load(save_onnx(model, tmp_path)) == model


def test_an_onnx_model_beyond_one_message_is_written_with_its_weights_beside(tmp_path, monkeypatch):
    model = onnx.load(onnx_models.conv_net(tmp_path / "source").file("model"))
    whole = model.SerializeToString()
    monkeypatch.setattr(onnx_file, "_SINGLE_FILE_BYTES", 1000)
    path = save_onnx(model, tmp_path)
    assert (path.parent / "model.onnx.data").stat().st_size > 1000
    assert model.SerializeToString() == whole
    for written, own in zip(
        onnx.load(path).graph.initializer, model.graph.initializer, strict=True
    ):
        np.testing.assert_array_equal(numpy_helper.to_array(written), numpy_helper.to_array(own))
    assert save_onnx(model, tmp_path) == path
    model.graph.node[0].attribute[0].ints[0] += 1
    assert save_onnx(model, tmp_path) != path


@pytest.mark.slow
def test_a_keras_model_keeps_its_outputs(tmp_path):
    from tests import keras_models

    model = keras_models.conv_net()
    path = save_keras(model, tmp_path)
    assert save_keras(model, tmp_path) == path
    images = np.random.default_rng(0).random((3, 8, 8, 3), np.float32)
    again = keras_models.keras.saving.load_model(path)
    for one, other in zip(model(images), again(images), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


X = np.arange(12, dtype=np.float32).reshape(4, 3)
Y = np.array([0, 1, 0, 1])


@pytest.mark.parametrize(
    ("data", "splits"),
    [
        ((X, Y), {"all"}),
        (({"x": X}, Y), {"all"}),
        ({"x": X, "labels": Y}, {"all"}),
        ({"train": {"x": X, "labels": Y}, "search": {"x": X, "labels": Y}}, {"train", "search"}),
        ({"x": torch.from_numpy(X), "labels": torch.from_numpy(Y)}, {"all"}),
    ],
)
def test_data_as_people_have_them(data, splits, tmp_path):
    read = read_npz(save_data(data, ("x",), tmp_path))
    assert set(read) == splits
    for arrays in read.values():
        np.testing.assert_array_equal(arrays["x"], X)
        np.testing.assert_array_equal(arrays["labels"], Y)
    np.testing.assert_array_equal(example_of(data, ("x",), 2)["x"], X[:2])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([X, Y], "cannot use a list"),
        ((X, Y, Y), "not of 3 parts"),
        (({"x": X}, [0, 1]), "'labels' is a list; give a numpy array"),
    ],
)
def test_data_that_cannot_be_used_are_refused(data, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        save_data(data, ("x",), tmp_path)


def test_an_array_without_a_name_needs_a_model_with_one_input(tmp_path):
    with pytest.raises(ConfigError, match="the model takes a, b"):
        save_data((X, Y), ("a", "b"), tmp_path)


def test_a_tensor_that_is_no_part_of_the_state_counts(tmp_path):
    class Shifted(nn.Module):
        def __init__(self, shift):
            super().__init__()
            self.shift = torch.tensor(shift)
            self.register_buffer("scale", torch.ones(1), persistent=False)

        def forward(self, x):
            return self.scale * x + self.shift

    example = {"x": np.ones((2, 3), np.float32)}
    paths = [save_torch_module(Shifted(s), example, tmp_path) for s in (1.0, 1.0, 2.0)]
    assert paths[0] == paths[1] != paths[2]


def test_a_file_that_was_not_finished_is_not_taken_for_one(tmp_path, monkeypatch):
    def torn(path, **arrays):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", torn)
        with pytest.raises(RunFolderError, match="No space"):
            save_data((X, Y), ("x",), tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert read_npz(save_data((X, Y), ("x",), tmp_path))


def test_python_objects_are_no_data(tmp_path):
    with pytest.raises(ConfigError, match="'labels' holds Python objects"):
        save_data((X, np.array(["a", None, 1, 2], dtype=object)), ("x",), tmp_path)


def test_what_others_put_beside_the_inputs_is_not_taken_back(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with contextlib.suppress(KeyboardInterrupt), inputs_of(folder):
        folder.inputs.mkdir(parents=True)
        for name in ("model-00ff.onnx", "data-00ff.npz", "thesis.txt"):
            (folder.inputs / name).write_text("precious")
        raise KeyboardInterrupt
    assert [path.name for path in folder.inputs.iterdir()] == ["thesis.txt"]
