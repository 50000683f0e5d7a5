from pathlib import Path

import numpy as np
import pytest

from hamerspace.build.worker import Worker
from hamerspace.environments import environment_python
from hamerspace.tasks.conversions.routes import NoRoute, find_route
from hamerspace.tasks.conversions.torch import PytorchToTflite
from hamerspace.tasks.model import ModelArtifact, SourceInfo, TensorSpec
from hamerspace.tasks.tflite import TfliteModel

PYTHON = environment_python("litert-torch")
needs_tool = pytest.mark.skipif(
    PYTHON is None, reason="needs 'hamerspace backends install litert-torch'"
)

NETS = '''\
import torch
from torch import nn


class Conv(nn.Module):
    """Two outputs, and a flattening, which fixes the batch."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4 * 36, 3)

    def forward(self, image):
        logits = self.head(torch.relu(self.conv(image)).flatten(1))
        return {"probs": torch.softmax(logits, 1), "logits": logits}


class Bag(nn.Module):
    """Embeddings of a masked sequence: two integer inputs."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(50, 8), nn.Linear(8, 2)

    def forward(self, ids, mask):
        weights = mask.unsqueeze(-1).float()
        return self.head((self.embed(ids) * weights).sum(1) / weights.sum(1))


def mlp():
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))


def needs_more():
    import hamerspace_no_such_module
'''


def spec(name, *shape, dtype="float32"):
    return TensorSpec(name, dtype, (None, *shape))


NETWORKS = {
    "Conv": ((spec("image", 1, 6, 6),), (spec("probs", 3), spec("logits", 3))),
    "Bag": (
        (spec("ids", 7, dtype="int64"), spec("mask", 7, dtype="int64")),
        (spec("output", 2),),
    ),
    "mlp": ((spec("x", 6),), (spec("output", 2),)),
}


def artifact(name, folder):
    """A source in ``folder``, and the module itself."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    (folder / "nets.py").write_text(NETS)
    namespace = {"__name__": "nets"}
    exec(NETS, namespace)
    torch.manual_seed(0)
    module = namespace[name]().eval() if name in NETWORKS else namespace["mlp"]()
    save_file(module.state_dict(), folder / "weights.safetensors")
    inputs, outputs = NETWORKS.get(name, NETWORKS["mlp"])
    metadata = {"builder": f"nets:{name}", "root": str(folder), "weights": "weights.safetensors"}
    return ModelArtifact(folder, "pytorch", inputs, outputs, metadata).save(), module


def rows(model, count):
    rng = np.random.default_rng(0)
    batch = {s.name: s.sample(count, rng) for s in model.inputs}
    return {
        name: a % 50 + (name == "mask") if a.dtype.kind == "i" else a for name, a in batch.items()
    }


@pytest.fixture(scope="module")
def worker():
    with Worker(PYTHON) as worker:
        worker.preload(PytorchToTflite.build_modules)
        yield worker


@pytest.fixture
def convert(worker, tmp_path):
    """``convert(model, batch_size)`` runs the stage in the tool environment."""

    def convert(model, batch_size):
        calibration = {}
        for name, array in rows(model, 4).items():
            np.save(tmp_path / f"{name}.npy", array)
            calibration[name] = str(tmp_path / f"{name}.npy")
        context = {
            "source": str(model.folder),
            "store": str(tmp_path / "store"),
            "calibration": calibration,
            "constants": [],
            "train": None,
            "batch_size": batch_size,
            "seed": 0,
        }
        stage = {"kind": "convert", "name": "tflite", "parameters": {}, "label": "export tflite"}
        arguments = {
            "context": context,
            "model": str(model.folder),
            "stages": [{**stage, "key": "a" * 64}],
        }
        outcome = worker.call(
            "hamerspace.build.jobs:run_stages", arguments, tmp_path / "log", 200.0
        )
        outcome.unwrap("conversion")
        return ModelArtifact.load(Path(context["store"]) / "aa" / ("a" * 64))

    return convert


@needs_tool
@pytest.mark.usefixtures("users_tools")
@pytest.mark.parametrize(("name", "batch_size"), [("Conv", 2), ("Bag", 1), ("mlp", 1)])
def test_names_order_and_values_are_kept(convert, tmp_path, name, batch_size):
    import torch

    model, module = artifact(name, tmp_path / "source")
    converted = convert(model, batch_size)
    for side in ("inputs", "outputs"):
        found, wanted = getattr(converted, side), getattr(model, side)
        assert [(s.name, s.dtype) for s in found] == [(s.name, s.dtype) for s in wanted]
        assert {s.shape[0] for s in found} == {None if name == "mlp" else batch_size}
    batch = rows(model, batch_size)
    loaded = TfliteModel(converted.file("model"), converted.inputs, converted.outputs)
    found = loaded.run(batch)
    with torch.no_grad():
        wanted = module(*(torch.from_numpy(array) for array in batch.values()))
    wanted = wanted if isinstance(wanted, dict) else {"output": wanted}
    for key, tensor in wanted.items():
        np.testing.assert_allclose(found[key], tensor.numpy(), rtol=1e-4, atol=1e-5)


@needs_tool
@pytest.mark.usefixtures("users_tools")
def test_code_that_the_environment_lacks_is_told(convert, tmp_path):
    from hamerspace.errors import BuildError

    model, _ = artifact("needs_more", tmp_path / "source")
    with pytest.raises(BuildError, match=r"tool environment litert-torch.*hamerspace_no_such_mod"):
        convert(model, 1)


def test_without_the_environment_there_is_no_route_and_a_hint():
    inputs, outputs = NETWORKS["mlp"]
    info = SourceInfo("pytorch", inputs, outputs, 100, 400, ("linear",))
    found = find_route("pytorch", ("tflite",), info)
    assert isinstance(found, NoRoute)
    assert "hamerspace backends install litert-torch" in found.reason
