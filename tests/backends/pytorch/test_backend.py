"""The PyTorch backend against the conformance suite, and what it refuses."""

import numpy as np
import pytest
import torch
from torch import nn

from hamerspace.backends.base import BuildJob
from hamerspace.backends.candidate import Candidate
from hamerspace.backends.pytorch.backend import PytorchBackend
from hamerspace.backends.pytorch.config import CONFIG
from hamerspace.errors import BuildError
from hamerspace.recipe import Mask
from hamerspace.tasks.sources import SourceSpec, open_source
from hamerspace.tasks.torch_module import load_module
from hamerspace.testing.backends import BackendConformance, Tolerance

CONVOLUTIONS = """
import torch
from torch import nn

class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(2, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 8, 3, stride=2), nn.ReLU())
        self.head = nn.Linear(8, 5)

    def forward(self, image, *, shift):
        features = self.body(image).mean(dim=(2, 3))
        return {"logits": self.head(features) + shift, "features": features}

def build():
    torch.manual_seed(0)
    return Small()
"""

SEQUENCES = """
import torch
from torch import nn

class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(100, 16)
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        self.encode = nn.TransformerEncoder(layer, 1)
        self.rnn = nn.LSTM(16, 16, batch_first=True)
        self.head = nn.Linear(16, 6)

    def forward(self, tokens):
        return self.head(self.rnn(self.encode(self.embed(tokens)))[0])

def build():
    torch.manual_seed(0)
    return Tagger()
"""


def opened(folder, code, example):
    (folder / "source").mkdir()
    (folder / "net.py").write_text(code)
    spec = SourceSpec(None, None, "net:build", None, folder)
    return open_source(spec, example, folder / "source")


def images(rows=4):
    rng = np.random.default_rng(0)
    return {
        "image": rng.standard_normal((rows, 2, 8, 8), np.float32),
        "shift": rng.standard_normal((rows, 5), np.float32),
    }


LEFT_OUT = (
    Mask("pytorch.float_layers", (64,), "the suite ranks no layers"),
    Mask("pytorch.quantization", ("torchao_int8_weights",), "compiling takes seconds"),
)


WEIGHTLESS = """
from torch import nn


class Net(nn.Module):
    def forward(self, image):
        return image.flatten(1).tanh()


def build():
    return Net()
"""


class Conformance(BackendConformance):
    config = CONFIG

    def test_installed(self):
        assert self.config.missing() == ()
        assert {"torch", "safetensors"} <= set(self.config.versions())


class TestConvolutions(Conformance):
    op_families = ("conv", "linear", "norm")

    @pytest.fixture(scope="class")
    def masks(self, source_info, host):
        rest = Mask("pytorch.quantization", ("bf16",), "the other class has it")
        return (*CONFIG.capabilities(source_info, host), *LEFT_OUT, rest)

    @pytest.fixture(scope="class")
    def source(self, tmp_path_factory):
        return opened(tmp_path_factory.mktemp("conv"), CONVOLUTIONS, images())[0]

    @pytest.fixture(scope="class")
    def nothing_to_lower(self, tmp_path_factory):
        image = {"image": images()["image"]}
        return opened(tmp_path_factory.mktemp("weightless"), WEIGHTLESS, image)[0]

    @pytest.fixture(scope="class")
    def reference(self, source):
        return load_module(source).run


class TestSequences(Conformance):
    op_families = ("attention", "embedding", "linear", "norm", "rnn")

    @pytest.fixture(scope="class")
    def masks(self, source_info, host):
        reason = "the other class compiles"
        rest = (
            Mask("pytorch.execution", ("inductor",), reason),
            Mask("pytorch.quantization", ("torchao_int8",), reason),
        )
        return (*CONFIG.capabilities(source_info, host), *LEFT_OUT, *rest)

    def tolerance(self, parameters):
        # Random weights leave the outputs little more than noise to tell apart.
        if "int8" in str(parameters.get("pytorch.quantization")):
            return Tolerance(0.9)
        return super().tolerance(parameters)

    @pytest.fixture(scope="class")
    def source(self, tmp_path_factory):
        tokens = {"tokens": np.arange(24, dtype=np.int64).reshape(2, 12)}
        return opened(tmp_path_factory.mktemp("sequence"), SEQUENCES, tokens)[0]

    @pytest.fixture(scope="class")
    def reference(self, source):
        return load_module(source).run


@pytest.mark.parametrize("kind", ["torch_export", "torchscript"])
@pytest.mark.parametrize("execution", ["eager", "frozen"])
def test_files_without_python_code_run_too(tmp_path, kind, execution):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 3))
    net.eval()
    x = torch.randn(2, 2, 8, 8)
    path = tmp_path / "model.pt"
    if kind == "torchscript":
        torch.jit.trace(net, x).save(str(path))
    else:
        shapes = {"input": {0: torch.export.Dim.DYNAMIC}}
        torch.export.save(torch.export.export(net, (x,), dynamic_shapes=shapes), path)
    (tmp_path / "source").mkdir()
    (tmp_path / "work").mkdir()
    spec = SourceSpec(None, path, None, None, tmp_path)
    source, info = open_source(spec, {"input": x.numpy()}, tmp_path / "source")
    assert info.format == kind
    backend = PytorchBackend()
    parameters = {"quantization": "none", "execution": execution}
    candidate = backend.build(BuildJob(source, parameters, None, tmp_path / "work"))
    batch = np.random.default_rng(1).standard_normal((5, 2, 8, 8), np.float32)
    with torch.inference_mode():
        wanted = net(torch.from_numpy(batch)).numpy()
    for session in (backend.load(candidate, 1), backend.load(backend.wrap_source(source), 1)):
        np.testing.assert_allclose(session.run({"input": batch})["output"], wanted, atol=1e-4)


@pytest.mark.parametrize(
    ("execution", "read"),
    [
        ("eager", lambda path: torch.export.load(path).module()),
        ("frozen", torch.jit.load),
        pytest.param(
            "inductor",
            torch._inductor.aoti_load_package,
            marks=[pytest.mark.slow, pytest.mark.wants("compiler")],
        ),
    ],
)
def test_a_file_returns_its_only_output_by_itself(uneven, tmp_path, execution, read):
    candidate = PytorchBackend().build(BuildJob(uneven, {"execution": execution}, None, tmp_path))
    image = images(3)["image"]
    found = read(str(tmp_path / candidate.files[0]))(torch.from_numpy(image))
    wanted = load_module(uneven).run({"input": image})["output"]
    np.testing.assert_allclose(found.detach().numpy(), wanted, rtol=1e-4, atol=1e-4)


def test_a_file_returns_several_outputs_as_a_tuple(tmp_path):
    source, _ = opened(tmp_path, CONVOLUTIONS, images())
    candidate = PytorchBackend().build(BuildJob(source, {"execution": "frozen"}, None, tmp_path))
    found = torch.jit.load(tmp_path / candidate.files[0])(*map(torch.from_numpy, images().values()))
    assert [tuple(tensor.shape) for tensor in found] == [(4, 5), (4, 8)]


def test_the_source_itself_runs_from_its_json(tmp_path):
    source, _ = opened(tmp_path, CONVOLUTIONS, images())
    before = sorted(p.name for p in source.folder.iterdir())
    backend = PytorchBackend()
    candidate = Candidate.from_dict(backend.wrap_source(source).to_dict())
    outputs = backend.load(candidate, 1).run(images(3))
    wanted = load_module(source).run(images(3))
    np.testing.assert_array_equal(outputs["logits"], wanted["logits"])
    assert list(outputs) == ["logits", "features"]
    assert candidate.size_bytes == (source.folder / "weights.safetensors").stat().st_size
    assert sorted(p.name for p in source.folder.iterdir()) == before


def test_read_only_rows_are_taken(tmp_path):
    source, _ = opened(tmp_path, CONVOLUTIONS, images())
    backend = PytorchBackend()
    batch = images(2)
    for array in batch.values():
        array.flags.writeable = False
    session = backend.load(backend.wrap_source(source), 1)
    assert session.run(batch)["logits"].shape == (2, 5)


def test_each_weight_of_quantised_layers_is_counted_once(tmp_path):
    """Of attention, embedding and norms in float; of the LSTM and three linear layers in int8."""
    tokens = {"tokens": np.ones((2, 5), np.int64)}
    source, _ = opened(tmp_path, SEQUENCES, tokens)
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        job = BuildJob(source, {"quantization": "dynamic_int8"}, None, folder)
        counts = PytorchBackend().build(job).metadata["weights"]
        assert counts == {
            "float32": 100 * 16 + 3 * 16 * 16 + 16 * 16,
            "int8": 2 * 64 * 16 + 2 * 16 * 32 + 6 * 16,
        }


def test_static_int8_without_data_is_refused(tmp_path):
    source, _ = opened(tmp_path, CONVOLUTIONS, images())
    with pytest.raises(BuildError, match="calibration"):
        PytorchBackend().build(BuildJob(source, {"quantization": "static_int8"}, None, tmp_path))


def test_control_flow_that_fx_cannot_trace_is_a_build_error(tmp_path):
    code = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
    def forward(self, x):
        return self.linear(x) if x.sum() > 0 else self.linear(-x)

def build():
    return Net()
"""
    example = {"x": np.ones((2, 4), np.float32)}
    source, _ = opened(tmp_path, code, example)
    with pytest.raises(BuildError, match=r"torch\.fx"):
        PytorchBackend().build(
            BuildJob(source, {"quantization": "static_int8"}, [example], tmp_path)
        )


def test_the_exported_file_holds_little_beside_the_weights(tmp_path):
    source, _ = opened(tmp_path, CONVOLUTIONS, images())
    (tmp_path / "work").mkdir()
    candidate = PytorchBackend().build(
        BuildJob(source, {"quantization": "none", "execution": "eager"}, None, tmp_path / "work")
    )
    assert candidate.size_bytes < 60_000


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    """A network in which one layer alone suffers: its weights have one huge outlier a row."""
    code = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 64),
                        nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 5))
    with torch.no_grad():
        net[5].weight[:, 0] = 100
        net[3].weight[0] = 0
        net[3].bias[0] = 0
    return net
"""
    image = {"input": images()["image"]}
    return opened(tmp_path_factory.mktemp("uneven"), code, image)[0]


def error_of(built, source, batch):
    found = PytorchBackend().load(built, 1).run(batch)["output"]
    wanted = load_module(source).run(batch)["output"]
    return float(((found - wanted) ** 2).sum() / (wanted**2).sum())


@pytest.mark.parametrize(
    ("kind", "layers"),
    [("static_int8", {"0", "3", "5", "7"}), ("dynamic_int8", {"3", "5", "7"})],
)
def test_the_layer_that_suffers_most_is_ranked_first_and_can_be_kept(
    uneven, tmp_path, kind, layers
):
    backend = PytorchBackend()
    batches = [{"input": images(8)["image"]}]
    ranked = backend.sensitivity(BuildJob(uneven, {"quantization": kind}, batches, tmp_path))
    assert {name for name, _ in ranked} == layers
    errors = [error for _, error in ranked]
    assert errors == sorted(errors, reverse=True)
    assert ranked[0][0] == "5"
    built = []
    for kept in ([], ["5"]):
        folder = tmp_path / str(len(kept))
        folder.mkdir()
        parameters = {"quantization": kind, "float_layers": len(kept)}
        built.append(backend.build(BuildJob(uneven, parameters, batches, folder, kept)))
    plain, mixed = (error_of(candidate, uneven, batches[0]) for candidate in built)
    assert mixed < plain / 2
    assert built[1].size_bytes > built[0].size_bytes + 10_000


def test_layers_to_keep_must_be_there(uneven, tmp_path):
    with pytest.raises(BuildError, match="no layer named 'head'"):
        PytorchBackend().build(
            BuildJob(uneven, {"quantization": "dynamic_int8"}, None, tmp_path, ["head"])
        )


def test_a_gpu_that_is_not_there_is_told(uneven, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(BuildError, match="no CUDA device"):
        PytorchBackend().build(BuildJob(uneven, {"device": "cuda"}, None, tmp_path))


@pytest.mark.parametrize("kind", ["bitsandbytes_int8", "bitsandbytes_nf4"])
def test_bitsandbytes_is_stored_without_python_code(uneven, tmp_path, kind):
    pytest.importorskip("bitsandbytes")
    built = PytorchBackend().build(BuildJob(uneven, {"quantization": kind}, None, tmp_path))
    weights = (uneven.folder / "weights.safetensors").stat().st_size
    assert built.size_bytes < weights
    assert error_of(built, uneven, {"input": images(3)["image"]}) < 0.2


@pytest.mark.parametrize("execution", ["eager", "frozen"])
def test_what_is_called_fp32_is_float32_whatever_the_source_is(tmp_path, execution):
    code = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 4)).bfloat16()
"""
    example = {"input": np.random.default_rng(0).standard_normal((4, 64)).astype(np.float32)}
    source, info = opened(tmp_path, code, example)
    chosen = {"quantization": "none", "execution": execution}
    (tmp_path / "out").mkdir()
    candidate = PytorchBackend().build(BuildJob(source, chosen, None, tmp_path / "out"))
    assert candidate.size_bytes > 4 * info.parameter_count
    found = PytorchBackend().load(candidate, 1).run(example)["output"]
    wanted = load_module(source).run(example)["output"]
    assert 0 < np.abs(found - wanted).max() < 0.03 * np.abs(wanted).max()
