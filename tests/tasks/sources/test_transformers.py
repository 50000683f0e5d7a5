"""Hugging Face folders as sources: what is read, what it becomes, what is refused."""

import json
import shutil

import numpy as np
import pytest
import torch

from hamerspace.errors import DataError, SourceError
from hamerspace.tasks.conversions import CONVERSIONS
from hamerspace.tasks.sources import SourceSpec, detect_format, open_source
from hamerspace.tasks.torch_module import load_module, save_module
from hamerspace.testing.sources import SourceConformance

transformers = pytest.importorskip("transformers")

LAYERS = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "vocab_size": 100,
    "max_position_embeddings": 32,
    "num_labels": 3,
}


def tokens(rows=2):
    mask = np.ones((rows, 12), np.int64)
    mask[0, 7:] = 0
    return {
        "input_ids": np.random.default_rng(0).integers(0, 100, (rows, 12)),
        "attention_mask": mask,
    }


def saved(model, folder, **options):
    model.eval().save_pretrained(folder, **options)
    return folder


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """The folder of a small classifier in two shards, and the model itself."""
    torch.manual_seed(0)
    model = transformers.BertForSequenceClassification(transformers.BertConfig(**LAYERS))
    folder = saved(model, tmp_path_factory.mktemp("hf") / "bert", max_shard_size="60KB")
    assert (folder / "model.safetensors.index.json").is_file()
    return folder, model


def opened(path, work, example, **options):
    work.mkdir()
    return open_source(SourceSpec(None, path, None, None, path, **options), example, work)


@pytest.fixture(scope="module")
def source(classifier, tmp_path_factory):
    return opened(classifier[0], tmp_path_factory.mktemp("open") / "source", tokens())


class TestTransformersSource(SourceConformance):
    name = "transformers"

    @pytest.fixture(scope="class")
    def given(self, classifier):
        return SourceSpec(None, classifier[0], None, None, classifier[0]), tokens()

    @pytest.fixture(scope="class")
    def reference(self, classifier):
        def run(batch):
            with torch.inference_mode():
                given = {name: torch.from_numpy(array) for name, array in batch.items()}
                return [classifier[1](**given).logits.numpy()]

        return run


def test_what_inspection_finds(classifier, source):
    _, info = source
    assert info.format == "pytorch"
    assert info.details == {"transformers": "BertForSequenceClassification"}
    assert [t.name for t in info.inputs] == ["input_ids", "attention_mask"]
    assert [(t.name, t.shape) for t in info.outputs] == [("logits", (None, 3))]
    assert {"attention", "embedding", "linear", "norm"} <= set(info.op_families)
    assert info.parameter_count == classifier[1].num_parameters()


def test_the_original_folder_is_not_needed_again(classifier, tmp_path):
    copied = shutil.copytree(classifier[0], tmp_path / "bert")
    artifact, _ = opened(copied, tmp_path / "source", tokens())
    shutil.rmtree(copied)
    (tmp_path / "saved").mkdir()
    module = load_module(artifact)
    again = save_module(module.inner, artifact, tmp_path / "saved")
    shutil.rmtree(artifact.folder)
    batch = tokens()
    np.testing.assert_array_equal(
        load_module(again).run(batch)["logits"], module.run(batch)["logits"]
    )


def test_it_exports_to_onnx(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    conversion = CONVERSIONS.load("pytorch->onnx")()
    converted = conversion.convert(source[0], tokens(), tmp_path)
    assert [t.name for t in converted.inputs] == ["input_ids", "attention_mask"]
    assert converted.inputs[0].shape[0] is None


def test_images_go_in_by_their_own_name(tmp_path):
    config = transformers.ViTConfig(**LAYERS, image_size=16, patch_size=8)
    saved(transformers.ViTForImageClassification(config), tmp_path / "vit")
    images = {"pixel_values": np.zeros((2, 3, 16, 16), np.float32)}
    _, info = opened(tmp_path / "vit", tmp_path / "source", images)
    assert [t.shape for t in info.outputs] == [(None, 3)]


def test_a_decoder_returns_no_cache_and_tied_weights_stay_tied(tmp_path):
    config = transformers.GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=100)
    saved(transformers.GPT2LMHeadModel(config), tmp_path / "gpt2")
    artifact, info = opened(tmp_path / "gpt2", tmp_path / "source", tokens())
    assert [t.name for t in info.outputs] == ["logits"]
    inner = load_module(artifact).inner
    assert inner.lm_head.weight is inner.transformer.wte.weight


def test_weights_keep_their_precision(tmp_path):
    model = transformers.BertModel(transformers.BertConfig(**LAYERS)).to(torch.bfloat16)
    saved(model, tmp_path / "half")
    artifact, info = opened(tmp_path / "half", tmp_path / "source", tokens())
    assert "bfloat16" in info.weight_dtypes
    assert {p.dtype for p in load_module(artifact).inner.parameters()} == {torch.bfloat16}
    assert {t.dtype for t in info.outputs} == {"float32"}


def test_names_that_the_model_does_not_take_are_told(classifier, tmp_path):
    with pytest.raises(DataError, match=r"array 'pixels': the model has no .*input_ids"):
        opened(classifier[0], tmp_path / "source", {"pixels": tokens()["input_ids"]})


@pytest.fixture
def folder(classifier, tmp_path):
    return shutil.copytree(classifier[0], tmp_path / "bert")


def edited(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refusal(folder, tmp_path, **options):
    with pytest.raises(SourceError) as caught:
        opened(folder, tmp_path / "source", tokens(), **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_without_weights(folder, tmp_path):
    for path in folder.glob("model*"):
        path.unlink()
    assert "has no weights" in refusal(folder, tmp_path)


def test_pickled_weights_need_trust(classifier, folder, tmp_path):
    for path in folder.glob("model*"):
        path.unlink()
    torch.save(classifier[1].state_dict(), folder / "pytorch_model.bin")
    assert "--trust-pickle" in refusal(folder, tmp_path)
    (tmp_path / "source").rmdir()
    artifact, _ = opened(folder, tmp_path / "source", tokens(), trust_pickle=True)
    assert (artifact.folder / "weights.safetensors").is_file()


def test_weights_of_another_model(folder, tmp_path):
    edited(folder, architectures=["BertForTokenClassification"], num_hidden_layers=3)
    assert "lack bert.encoder.layer.2" in refusal(folder, tmp_path)


def test_weights_of_another_size(folder, tmp_path):
    edited(folder, vocab_size=90)
    assert "another shape for bert.embeddings.word_embeddings.weight" in refusal(folder, tmp_path)


def test_code_of_its_own_is_not_run(folder, tmp_path):
    edited(folder, architectures=["MyModel"], auto_map={"AutoModel": "code.MyModel"})
    (folder / "code.py").write_text("raise SystemExit('ran')")
    assert "give a 'builder'" in refusal(folder, tmp_path, trust_pickle=True)


def test_an_unknown_model_type(folder, tmp_path):
    edited(folder, model_type="no_such_type")
    assert "config.json cannot be read by transformers" in refusal(folder, tmp_path)


def test_a_folder_of_something_else(tmp_path):
    spec = SourceSpec("transformers", tmp_path, None, None, tmp_path)
    with pytest.raises(SourceError, match=r"has no config\.json"):
        open_source(spec, tokens(), tmp_path)


def test_the_folder_tells_its_format(folder):
    assert detect_format(SourceSpec(None, folder, None, None, folder)) == "transformers"
    with pytest.raises(SourceError, match="leave 'format' out"):
        detect_format(SourceSpec("onnx", folder, None, None, folder))
