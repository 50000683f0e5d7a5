"""An exported candidate by itself: what it is timed with, and what is refused."""

import json

import numpy as np
import pytest

from hamerspace.backends import BACKENDS
from hamerspace.backends.base import BuildJob
from hamerspace.errors import ConfigError, DataError
from hamerspace.recipe import Recipe
from hamerspace.search.benchmark import benchmark_candidate
from hamerspace.search.export import Deployment, export_candidate
from hamerspace.tasks.model import MANIFEST, ModelArtifact
from tests import onnx_models

RECIPE = Recipe({"backend": "onnxruntime"})


@pytest.fixture
def exported(tmp_path):
    """``exported(source, batch_size, threads)`` is the folder of a candidate of ONNX Runtime."""

    def export(source, batch_size=1, threads=1):
        built = tmp_path / "built"
        built.mkdir()
        candidate = BACKENDS.load("onnxruntime").create().build(BuildJob(source, {}, None, built))
        folder = tmp_path / "exported"
        export_candidate(candidate, RECIPE, None, Deployment(batch_size, threads), folder)
        return folder

    return export


def test_the_batch_and_the_threads_are_those_of_the_study(exported, onnx_task):
    folder = exported(ModelArtifact.load(onnx_task), 4, 2)
    found = benchmark_candidate(folder, None)
    assert found.measurement.latency.processes == 5  # whose spread is in the noise
    assert found.deployment == Deployment(4, 2)
    assert found.environment["threads per inference"] == "2"
    assert benchmark_candidate(folder, None, 2, 1).deployment == Deployment(2, 1)


def test_an_export_that_says_neither_is_timed_row_by_row(exported, onnx_task):
    folder = exported(ModelArtifact.load(onnx_task), 4, 2)
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["deployment"]
    (folder / MANIFEST).write_text(json.dumps(manifest))
    assert benchmark_candidate(folder, None).deployment == Deployment(1, 1)


def test_a_fixed_batch_is_taken_as_it_is(exported, tmp_path):
    folder = exported(onnx_models.gated(tmp_path / "source", batch=4))
    assert benchmark_candidate(folder, None).deployment.batch_size == 4
    with pytest.raises(ConfigError, match="--batch-size: the model has a fixed batch of 4, not 2"):
        benchmark_candidate(folder, None, 2)


@pytest.mark.parametrize("state", [None, np.ones((1, 1, 4), np.float32)])
def test_an_input_without_rows_is_given_whole(exported, tmp_path, state):
    folder = exported(onnx_models.stateful(tmp_path / "source"), 8)
    rows = {"frames": np.zeros((40, 6), np.float32)}
    np.savez(tmp_path / "data.npz", **rows, **({} if state is None else {"state": state}))
    for data in (None, tmp_path / "data.npz"):
        assert benchmark_candidate(folder, data).measurement.latency.runs > 0


def test_an_input_without_rows_has_the_shape_that_the_model_takes(exported, tmp_path):
    folder = exported(onnx_models.stateful(tmp_path / "source"))
    arrays = {"frames": np.zeros((40, 6), np.float32), "state": np.ones((2, 1, 4), np.float32)}
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(DataError, match=r"'state': it has shape \[2, 1, 4\], but the model takes"):
        benchmark_candidate(folder, tmp_path / "data.npz")


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((0, 3, 16, 16), np.float32), "holds no rows of image"),
        (np.zeros((4, 3, 16, 16)), "array 'image': float64, but the model takes float32"),
        (np.zeros((4, 3, 16, 9), np.float32), "but the model takes [3, 16, 16]"),
        (np.float32(1), "but the model takes [3, 16, 16]"),
        (None, "lacks the input 'image'; it has picture"),
    ],
)
def test_data_that_do_not_fit_are_told(exported, onnx_task, tmp_path, image, said):
    folder = exported(ModelArtifact.load(onnx_task))
    arrays = {"picture": np.zeros(2)} if image is None else {"image": image}
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(DataError) as error:
        benchmark_candidate(folder, tmp_path / "data.npz")
    assert str(error.value).startswith(f"{tmp_path / 'data.npz'}: ")
    assert said in str(error.value)
