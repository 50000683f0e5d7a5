"""Recovery really teaches: small modules, small data, a few seconds."""

import numpy as np
import pytest
import torch

from hamerspace.compress import TechniqueJob
from hamerspace.compress.base import TrainingData
from hamerspace.compress.distillation import inert_distillation
from hamerspace.compress.recovery import TECHNIQUE
from hamerspace.compress.sparsifying import TECHNIQUE as SPARSIFY
from hamerspace.errors import BuildError
from hamerspace.recipe import Recipe
from hamerspace.tasks.model import ModelArtifact, SourceInfo, TensorSpec
from hamerspace.tasks.sources import SourceSpec, open_source
from hamerspace.tasks.torch_module import load_module, save_module
from hamerspace.testing.techniques import TechniqueConformance

CODE = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(128, 4))
"""
FULL = {
    "recover.method": "distill",
    "recover.epochs": 6,
    "distill.temperature": 2.0,
    "distill.weight": 1.0,
}


def built(folder):
    (folder / "net.py").write_text(CODE)
    (folder / "source").mkdir()
    spec = SourceSpec(None, None, "net:build", None, folder)
    example = {"input": np.ones((2, 1, 6, 6), np.float32)}
    return open_source(spec, example, folder / "source")[0]


@pytest.fixture
def model(tmp_path):
    return built(tmp_path)


def data(loss="cross_entropy", rows=2560):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, 1, 6, 6), np.float32)
    # The quadrant with the greatest mean.
    means = x.reshape(rows, 2, 3, 2, 3).mean(axis=(2, 4)).reshape(rows, 4)
    arrays = {"input": x}
    if loss == "cross_entropy":
        arrays["labels"] = means.argmax(axis=1)
    elif loss == "mse":
        arrays["labels"] = means
    for array in arrays.values():
        array.flags.writeable = False
    return TrainingData(arrays, ("input",), loss)


def recover(source, model, parameters, given, folder, seed=0):
    folder.mkdir()
    TECHNIQUE.apply(TechniqueJob(source, model, parameters, given, folder, seed))
    return ModelArtifact.load(folder)


class TestRecovery(TechniqueConformance):
    technique = TECHNIQUE
    op_families = ("conv", "linear", "norm")

    def chosen(self):
        return {"prune.ratio": 0.5, "recover.method": "finetune", "recover.epochs": 1}

    @pytest.fixture(scope="class")
    def source(self, tmp_path_factory):
        return built(tmp_path_factory.mktemp("source"))

    @pytest.fixture(scope="class")
    def data(self):
        return data(rows=64)


def outputs(model, given):
    return load_module(model).run({"input": given.arrays["input"]})["output"]


def accuracy(model, given):
    return (outputs(model, given).argmax(axis=1) == given.arrays["labels"]).mean()


def damaged(model, folder):
    """The same module with noise on its weights: what pruning does, only simpler."""
    folder.mkdir()
    inner = load_module(model).inner
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in inner.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return save_module(inner, model, folder)


TIME_FIRST = """
import torch
from torch import nn

class Recogniser(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, frames):
        return self.layer(frames.transpose(0, 1))

def build():
    torch.manual_seed(0)
    return Recogniser()
"""


def test_each_row_of_an_output_with_the_time_first_learns_from_its_own(tmp_path):
    (tmp_path / "net.py").write_text(TIME_FIRST)
    (tmp_path / "source").mkdir()
    # As many steps as rows in a batch, so that either axis may be taken for the rows.
    frames = np.random.default_rng(0).standard_normal((1024, 64, 4), np.float32)
    spec = SourceSpec(None, None, "net:build", None, tmp_path)
    source, info = open_source(spec, {"frames": frames[:2]}, tmp_path / "source")
    (output,) = info.outputs
    assert output.row_axis == 1
    given = TrainingData({"frames": frames}, ("frames",), "none", output.name, output.row_axis)
    longer = {**FULL, "recover.epochs": 24}
    recovered = recover(
        source, damaged(source, tmp_path / "damaged"), longer, given, tmp_path / "r"
    )
    wanted, found = (load_module(m).run({"frames": frames})["output"] for m in (source, recovered))
    before = load_module(ModelArtifact.load(tmp_path / "damaged")).run({"frames": frames})["output"]
    assert np.abs(found - wanted).mean() < 0.5 * np.abs(before - wanted).mean()


def test_fine_tuning_learns_the_labels(model, tmp_path):
    given = data()
    parameters = {"recover.method": "finetune", "recover.epochs": 8}
    trained = recover(model, model, parameters, given, tmp_path / "out")
    assert accuracy(model, given) < 0.5
    assert accuracy(trained, given) > 0.7
    assert trained.inputs == model.inputs


def test_fine_tuning_learns_numbers(model, tmp_path):
    given = data("mse")
    parameters = {"recover.method": "finetune", "recover.epochs": 8}
    trained = recover(model, model, parameters, given, tmp_path / "out")

    def error(m):
        return ((outputs(m, given) - given.arrays["labels"]) ** 2).mean()

    assert error(trained) < 0.5 * error(model)


@pytest.mark.parametrize("loss", ["cross_entropy", "mse", "none"])
def test_distillation_comes_near_the_source(model, tmp_path, loss):
    given = data(loss)
    student = damaged(model, tmp_path / "damaged")
    trained = recover(model, student, FULL, given, tmp_path / "out")
    wanted = outputs(model, given)
    if loss == "cross_entropy":
        wanted = wanted - wanted.mean(axis=1, keepdims=True)

    def distance(m):
        found = outputs(m, given)
        if loss == "cross_entropy":  # softmax does not see what all logits share
            found = found - found.mean(axis=1, keepdims=True)
        return ((found - wanted) ** 2).mean()

    assert distance(trained) < 0.3 * distance(student)


def test_the_teacher_counts_as_much_as_its_weight(model, tmp_path):
    """Without weight the teacher says nothing, so that only labels are learnt."""
    given = data()
    student = damaged(model, tmp_path / "damaged")
    distilled = {**FULL, "distill.weight": 0.0}
    tuned = {"recover.method": "finetune", "recover.epochs": 6}
    unheard = recover(model, student, distilled, given, tmp_path / "unheard")
    plain = recover(model, student, tuned, given, tmp_path / "plain")
    heard = recover(model, student, FULL, given, tmp_path / "heard")
    assert unheard.file("weights").read_bytes() == plain.file("weights").read_bytes()
    assert accuracy(plain, given) > accuracy(heard, given) + 0.1


def test_statistics_of_batch_norm_follow_the_data(model, tmp_path):
    given = data()
    trained = recover(model, model, {"recover.method": "bn"}, given, tmp_path / "out")
    before, after = load_module(model).inner, load_module(trained).inner
    with torch.no_grad():
        activations = before[0](torch.from_numpy(np.array(given.arrays["input"])))
    assert torch.allclose(after[1].running_mean, activations.mean(dim=(0, 2, 3)), atol=1e-3)
    assert torch.allclose(after[1].running_var, activations.var(dim=(0, 2, 3)), rtol=0.02)
    assert torch.equal(after[0].weight, before[0].weight)
    assert not after.training


def test_a_model_without_batch_norm_has_none_to_estimate(tmp_path):
    (tmp_path / "net.py").write_text(CODE.replace("nn.BatchNorm2d(8), ", ""))
    (tmp_path / "source").mkdir()
    spec = SourceSpec(None, None, "net:build", None, tmp_path)
    example = {"input": np.ones((2, 1, 6, 6), np.float32)}
    model = open_source(spec, example, tmp_path / "source")[0]
    with pytest.raises(BuildError, match="batch normalisation"):
        recover(model, model, {"recover.method": "bn"}, data(rows=64), tmp_path / "out")


@pytest.mark.parametrize("method", ["bn", "finetune", "distill"])
def test_what_was_sparsified_stays_zero(model, tmp_path, method):
    given = data(rows=640)
    (tmp_path / "sparse").mkdir()
    ratio = {"sparsify.ratio": 0.8}
    sparse = SPARSIFY.apply(TechniqueJob(model, model, ratio, None, tmp_path / "sparse", 0))
    trained = recover(model, sparse, {**FULL, "recover.method": method}, given, tmp_path / "out")
    before, after = load_module(sparse).inner, load_module(trained).inner
    assert torch.equal(before[4].weight == 0, after[4].weight == 0)
    assert torch.equal(before[4].weight, after[4].weight) == (method == "bn")


def test_another_seed_gives_other_weights(model, tmp_path):
    parameters = {"recover.method": "finetune", "recover.epochs": 1}
    one, other = (
        recover(model, model, parameters, data(rows=130), tmp_path / str(seed), seed)
        for seed in (0, 1)
    )
    assert one.file("weights").read_bytes() != other.file("weights").read_bytes()


def test_labels_that_break_the_loss_are_a_build_error(model, tmp_path):
    given = data("mse")
    arrays = {**given.arrays, "labels": np.full((2560, 4), np.nan)}
    broken = TrainingData(arrays, given.inputs, "mse")
    with pytest.raises(BuildError, match="diverged"):
        recover(
            model,
            model,
            {"recover.method": "finetune", "recover.epochs": 1},
            broken,
            tmp_path / "out",
        )


def info(format_name="pytorch", **details):
    spec = TensorSpec("x", "float32", (None, 4))
    families = ("conv", "norm")
    return SourceInfo(format_name, (spec,), (spec,), 10, 40, families, details=details)


@pytest.mark.parametrize(
    ("source", "loss", "refused"),
    [
        (info(), "cross_entropy", set()),
        (info(), "none", {"finetune"}),
        (info(), None, {"bn", "finetune", "distill"}),
        (info("keras"), "cross_entropy", set()),
        (info(batch_norm=False), "cross_entropy", {"bn"}),
        (info("keras", layers=["Conv2D", "LayerNormalization"]), "cross_entropy", {"bn"}),
    ],
)
def test_methods_that_lack_something_are_masked(source, loss, refused):
    masks = TECHNIQUE.capabilities(source, loss)
    assert {value for mask in masks for value in mask.values} == refused
    assert all(mask.reason for mask in masks)


def test_only_parameters_with_a_meaning_make_a_stage():
    def stage(**values):
        named = {name.replace("_", ".", 1): value for name, value in values.items()}
        return TECHNIQUE.stage_parameters(Recipe({"backend": "pytorch", **named}).parameters)

    assert stage(prune_ratio=0.5, recover_method="none") is None
    assert stage(recover_method="finetune") is None
    assert stage(prune_ratio=0.5, recover_method="finetune", recover_epochs=2) == {
        "recover.method": "finetune",
        "recover.epochs": 2,
    }
    distilled = stage(prune_ratio=0.5, recover_method="distill")
    assert distilled["distill.temperature"] == 4.0
    assert stage(sparsify_ratio=0.5, recover_method="bn", recover_epochs=3) == {
        "recover.method": "bn"
    }


@pytest.mark.parametrize(
    ("chosen", "active"),
    [
        ({"prune.ratio": 0.0}, set()),
        ({"prune.ratio": 0.5}, {"recover.method"}),
        ({"prune.ratio": 0.0, "sparsify.ratio": 0.5}, {"recover.method"}),
        (
            {"prune.ratio": 0.5, "recover.method": "finetune"},
            {"recover.method", "recover.epochs"},
        ),
        (
            {"sparsify.ratio": 0.5, "recover.method": "distill"},
            {"recover.method", "recover.epochs", "distill.temperature", "distill.weight"},
        ),
        ({"qat.method": "nncf"}, {"distill.temperature", "distill.weight"}),
        ({"student.width": 0.5}, {"distill.temperature", "distill.weight"}),
        ({"student.width": 1.0, "qat.method": "none"}, set()),
    ],
)
def test_parameters_are_active_only_where_they_have_a_meaning(chosen, active):
    assert {p.name for p in TECHNIQUE.parameters() if p.active(chosen)} == active


BATCH_NORM = """
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8, momentum={}), nn.ReLU(), nn.Flatten(),
        nn.Linear(128, 4))
"""


@pytest.mark.parametrize("momentum", [0.0, None, 1e-4])
def test_training_leaves_no_stale_statistics(tmp_path, momentum):
    code = "import torch\nfrom torch import nn\n\ndef build():" + BATCH_NORM.format(momentum)
    model = opened(tmp_path, code)
    given = data(rows=640)
    student = damaged(model, tmp_path / "damaged")
    inner = load_module(student).inner
    inner[1].num_batches_tracked.fill_(100_000)
    (tmp_path / "stale").mkdir()
    student = save_module(inner, student, tmp_path / "stale")
    trained = recover(
        model, student, {**FULL, "recover.method": "finetune"}, given, tmp_path / "out"
    )
    after = load_module(trained).inner
    with torch.no_grad():
        activations = after[0](torch.from_numpy(np.array(given.arrays["input"])))
    assert torch.allclose(after[1].running_mean, activations.mean(dim=(0, 2, 3)), atol=1e-3)
    assert torch.allclose(after[1].running_var, activations.var(dim=(0, 2, 3)), rtol=0.05)
    assert after[1].momentum == momentum


VIEWS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 1))
        self.head = nn.Linear(128, 4)

    def forward(self, input):
        x = self.conv(input)
        return self.head(x.view(x.size(0), -1))

def build():
    torch.manual_seed(0)
    return Net()
"""


@pytest.mark.parametrize("method", ["finetune", "distill"])
def test_a_forward_that_flattens_by_view_is_trained(tmp_path, method):
    model = opened(tmp_path, VIEWS)
    given = data()
    trained = recover(model, model, {**FULL, "recover.method": method}, given, tmp_path / "out")
    assert trained.file("weights").read_bytes() != model.file("weights").read_bytes()
    if method == "finetune":
        assert accuracy(trained, given) > 0.6


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_trained_by_itself(tmp_path, dtype):
    code = f"{CODE.rstrip()}.to(torch.{dtype})\n"
    model = opened(tmp_path, code)
    given = data(rows=640)
    trained = recover(model, damaged(model, tmp_path / "damaged"), FULL, given, tmp_path / "out")
    assert load_module(trained).inner[0].weight.dtype == getattr(torch, dtype)
    assert np.isfinite(outputs(trained, given)).all()


@pytest.mark.parametrize(
    ("loss", "inert"),
    [
        ("cross_entropy", set()),
        ("binary_cross_entropy", set()),
        ("mse", {"distill.temperature"}),
        ("none", {"distill.temperature", "distill.weight"}),
    ],
)
def test_scores_of_either_kind_have_a_temperature(loss, inert):
    assert {mask.parameter for mask in inert_distillation(loss)} == inert


def opened(folder, code):
    (folder / "net.py").write_text(code)
    (folder / "source").mkdir()
    spec = SourceSpec(None, None, "net:build", None, folder)
    return open_source(spec, {"input": np.ones((2, 1, 6, 6), np.float32)}, folder / "source")[0]
