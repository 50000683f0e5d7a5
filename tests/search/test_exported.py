"""The manifest of an exported candidate, which may come from anyone."""

import json

import pytest

from hamerspace.errors import SourceError
from hamerspace.search.export import Deployment
from hamerspace.search.exported import read_exported

SPEC = {"name": "x", "dtype": "float32", "shape": [None, 4], "constant": False}
MANIFEST = {
    "backend": "onnxruntime",
    "files": ["model.onnx"],
    "inputs": [SPEC],
    "outputs": [SPEC],
    "runtime": {},
    "metadata": {"model": "model.onnx"},
    "deployment": {"batch_size": 4, "threads": 2},
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"model")
    return tmp_path


def test_a_manifest_says_what_the_model_was_measured_for(folder):
    (folder / "manifest.json").write_text(json.dumps(MANIFEST))
    candidate, deployment = read_exported(folder)
    assert (candidate.size_bytes, deployment) == (5, Deployment(4, 2))
    assert candidate.inputs[0].shape == (None, 4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"files": None}, "'files' should be"),
        ({"files": ["../../../etc/passwd"]}, "'files[0]' is no name of a file in this folder"),
        ({"files": ["/etc/passwd"]}, "no name of a file in this folder"),
        ({"files": ["other.onnx"]}, "a file of the candidate is missing"),
        ({"backend": "onnxruntme"}, "did you mean 'onnxruntime'"),
        ({"inputs": [{**SPEC, "dtype": "O"}]}, "'inputs[0]' .*dtype 'O'"),
        ({"inputs": [{**SPEC, "shape": "x"}]}, "'inputs[0].shape' should be"),
        ({"inputs": [{**SPEC, "shape": [-3]}]}, "negative dimension"),
        ({"deployment": {"batch_size": 0, "threads": 1}}, "'deployment.batch_size' should be"),
        ({"metadata": []}, "'metadata' should be"),
    ],
)
def test_what_is_wrong_is_named_with_its_key(folder, change, said):
    (folder / "manifest.json").write_text(json.dumps({**MANIFEST, **change}))
    with pytest.raises(SourceError, match=said.replace("[", r"\[").replace("]", r"\]")) as told:
        read_exported(folder)
    assert str(folder) in str(told.value)
