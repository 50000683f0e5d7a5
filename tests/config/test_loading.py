from pathlib import Path

import pytest

from hamerspace.config.loading import load_study, parse_space_file
from hamerspace.errors import ConfigError
from hamerspace.quantities import Objective

GOOD = """\
name: digits
task:
  source:
    path: model.onnx
  data:
    path: data.npz
constraints:
  max_size_mb: 10
objectives: [latency, size]
budget:
  trials: 5
"""
ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model.onnx").touch()
    (tmp_path / "data.npz").touch()
    return tmp_path


def load(folder, text):
    (folder / "study.yaml").write_text(text)
    return load_study(folder / "study.yaml")


def message(folder, text):
    with pytest.raises(ConfigError) as error:
        load(folder, text)
    return str(error.value).replace(f"{folder}/", "")


def test_a_good_study(folder):
    loaded = load(folder, GOOD)
    assert loaded.config.objectives == (Objective.LATENCY, Objective.SIZE)
    assert loaded.config.constraints.constraints().limits() == {"max_size_mb": 10.0}
    assert loaded.source_path == folder / "model.onnx"
    assert loaded.data_path == folder / "data.npz"
    assert loaded.weights_path is None
    assert loaded.space_path is None


def test_relative_paths_start_from_the_study_file(folder, monkeypatch):
    (folder / "study.yaml").write_text(GOOD)
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    loaded = load_study(Path("../study.yaml"))
    assert loaded.root.is_absolute()
    assert loaded.source_path.is_file()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "max_size_mb: 10",
            "max_size: 10",
            "study.yaml:8: unknown key 'constraints.max_size'; did you mean 'max_size_mb'?",
        ),
        (
            "  trials: 5",
            "  trails: 5",
            "study.yaml:11: unknown key 'budget.trails'; did you mean 'trials'?",
        ),
        (
            "budget:\n  trials: 5",
            "trials: 5",
            "study.yaml:10: unknown key 'trials'; did you mean 'budget.trials'?",
        ),
        (
            "trials: 5",
            "trials: many",
            "study.yaml:11: 'budget.trials' must be a whole number, not the text 'many'",
        ),
        ("trials: 5", "trials: 2.5", "'budget.trials' must be a whole number, not 2.5"),
        ("trials: 5", "trials: true", "'budget.trials' must be a whole number, not true"),
        ("trials: 5", "trials:", "'budget.trials' is empty; fill it in or delete the key"),
        ("  trials: 5\n", "", "'budget' is empty; fill it in or delete the key"),
        ("trials: 5", "trials: 0", "'budget.trials' must be at least 1, not 0"),
        (
            "trials: 5",
            "min_gain_percent: 1\nsearch:\n  sampler: tpe",
            "budget.min_gain_percent needs a sampler that foresees gains",
        ),
        ("trials: 5", "min_gain_percent: 0", "must be above 0, not 0"),
        ("mb: 10", "mb: 0", "study.yaml:8: 'constraints.max_size_mb' must be above 0, not 0"),
        ("mb: 10", "mb: -1", "must be above 0, not -1; leave it out for no limit"),
        ("mb: 10", "mb: .nan", "must be a finite number, not nan"),
        ("mb: 10", "mb: .inf", "must be a finite number, not inf"),
        ("mb: 10", "mb: 10 MB", "must be a number, not the text '10 MB'"),
        ("mb: 10", "mb: [10]", "must be a number, not a list"),
        ("latency, size]", "size, latncy]", "'objectives[1]' must be"),
        ("latency, size]", "latncy]", "'objectives[0]' must be"),
        ("[latency, size]", "[]", "'objectives' must be given at least one value, not empty"),
        ("[latency, size]", "[size, size]", "'objectives' names 'size' twice"),
        ("[latency, size]", "size", "'objectives' must be a list, not the text 'size'"),
        ("name: digits", "name: my study", "'name' must be letters, digits"),
        ("name: digits\n", "", "study.yaml:1: missing key 'name': Names the run folder"),
        ("    path: model.onnx", "    format: onnx", "'task.source' give either 'path'"),
        ("path: data.npz", "load: data.py", "must be of the form module:function"),
        (
            "path: model.onnx",
            "path: gone.onnx",
            "study.yaml:4: 'task.source.path': no such file: gone.onnx",
        ),
        ("path: data.npz", "path: .", "'task.data.path': is a folder, not a file"),
        ("name: digits", "name: a\nspace: my/s.yaml", "study.yaml:2: 'space': no such file"),
    ],
)
def test_one_mistake(folder, old, new, words):
    assert old in GOOD
    text = message(folder, GOOD.replace(old, new))
    assert words in text
    assert text.count("\n") == 0


def test_a_near_word_is_suggested(folder):
    text = message(folder, GOOD + "search: {sampler: tpee}\n")
    assert text.endswith("not the text 'tpee'; did you mean 'tpe'?")


def test_every_mistake_is_listed_in_the_order_of_the_lines(folder):
    text = message(folder, GOOD.replace("10", "0").replace("5", "0").replace("digits", "3"))
    lines = text.splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"study.yaml:{n}" for n in (1, 8, 11)]


def test_keys_of_inputs_are_checked(folder):
    text = message(folder, GOOD.replace("  data:", "    inputs: {x: {shap: [1]}}\n  data:"))
    assert "unknown key 'task.source.inputs.x.shap'; did you mean 'shape'?" in text


def test_a_space_file_names_line_and_key(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text("name: s\nparameters:\n  backend: [onnxruntime]\n  p: {low: 2, high: 1}\n")
    with pytest.raises(ConfigError) as error:
        parse_space_file(path)
    assert f"{path}:4: 'parameters.p' has low 2 which is not below high 1" in str(error.value)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "search_spaces").glob("*.yaml")), ids=lambda path: path.stem
)
def test_the_spaces_that_come_along_are_read(path):
    assert parse_space_file(path).name == path.stem


@pytest.mark.parametrize(
    "path", sorted((ROOT / "studies").glob("*/study.yaml")), ids=lambda path: path.parent.name
)
def test_the_studies_that_come_along_are_read(path):
    fetch = path.with_name("fetch.py")
    if fetch.is_file() and not (path.parent / "model").exists():
        # What is too large to come along is fetched; the message says how.
        with pytest.raises(ConfigError, match=r"fetch it first: python .*fetch\.py"):
            load_study(path)
        return
    source = load_study(path).source_path
    assert source is None or source.exists()


@pytest.mark.parametrize("name", ["~nobody-of-this-name/m.onnx", "x" * 5000, '"a\\0b"'])
def test_names_that_no_file_can_have(folder, name):
    assert "'task.source.path': " in message(folder, GOOD.replace("model.onnx", name))
