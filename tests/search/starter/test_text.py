"""The texts of a new study."""

import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from jinja2 import nodes

from hamerspace.config.settings import SETTINGS
from hamerspace.config.study import LoadedStudy, StudyConfig
from hamerspace.search.starter.text import Facts, study_text, task_text
from hamerspace.tasks.model import SourceInfo, TensorSpec

INPUTS = (
    TensorSpec("serving:0", "float32", (None, 3, None)),
    TensorSpec("ids", "int64", (None, 7)),
    TensorSpec("attention_mask", "int64", (None, 7)),
    TensorSpec("flag", "bool", (None,)),
)
INFO = SourceInfo("onnx", INPUTS, (TensorSpec("y", "float32", (None, 5)),), 10, 40, ("conv",))


def given(**flags):
    """What a user says of a study whose model is a file, or of ``module:function``."""
    flags = {"name": "mine", "space": "auto", **flags}
    source = flags.pop("source", {"path": "a model.onnx"})
    values = {"task": {"source": source}}
    for name, value in flags.items():
        *sections, key = SETTINGS[name].location if name in SETTINGS else name.split(".")
        inner = values
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[key] = value
    return LoadedStudy(config=StudyConfig.model_validate(values), root=Path.cwd())


FACTS = Facts(
    loaded=given(),
    info=INFO,
    study="mine-study/study.yaml",
    module="task",
    schema="",
    path="../a model.onnx",
    weights=None,
    data=None,
    metric="agreement",
    metric_with_classes="accuracy",
    has_labels=False,
    batch_size=1,
    space="cpu",
    space_reason="the model is made of conv",
)
LIMITS = {"max_size_mb": 1e-6, "max_latency_ms": 5.0}
VARIANTS = {
    "file": FACTS,
    "builder": replace(
        FACTS, path=None, loaded=given(source={"builder": "net:build"}), weights="w.safetensors"
    ),
    "data": replace(FACTS, data="../eval.npz", has_labels=True, metric="accuracy"),
    "loader": replace(FACTS, loaded=given(**{"task.data.load": "rows:load"}), module="rows"),
    "chosen": replace(
        FACTS,
        loaded=given(
            constants=["flag", "state: 0"], metric="rows:judge", direction="minimize", **LIMITS
        ),
    ),
    "named metric": replace(FACTS, loaded=given(metric="cosine")),
    "schema": replace(
        FACTS,
        schema="study.schema.json",
        loaded=given(source={"path": "m.onnx", "inputs": {"x": {"shape": [None, 2]}}}),
    ),
}


def keys(model):
    """Every key that a study file may have, with those of its sections."""
    from hamerspace.config.problems import _models_in

    for name, field in model.model_fields.items():
        yield name
        for section in _models_in(field.annotation):
            yield from keys(section)


@pytest.mark.parametrize("facts", VARIANTS.values(), ids=VARIANTS)
def test_the_study_is_valid_as_it_stands(facts):
    study = StudyConfig.model_validate(yaml.safe_load(study_text(facts)))
    assert study.name == "mine"
    assert study.space == "auto"
    wanted = facts.loaded.config
    assert study.constraints == wanted.constraints
    assert study.task.quality == wanted.task.quality
    assert study.task.source.constants == wanted.task.source.constants


@pytest.mark.parametrize("facts", VARIANTS.values(), ids=VARIANTS)
def test_it_is_valid_with_every_comment_taken_away_and_leaves_no_key_out(facts):
    known = set(keys(StudyConfig)) - {"shape", "dtype"}
    commented = rf"(?m)^( *)# ( *(?:{'|'.join(known)}):)"
    text = re.sub(commented, r"\1\2", study_text(facts))
    value = yaml.safe_load(text)
    StudyConfig.model_validate(value)
    written = set(re.findall(r"(?m)^ *(\w+):", text))
    builder = {"path"} if facts.path is None else {"builder", "weights"}
    assert known - written <= builder | ({"path", "load"} - written)
    assert value["constraints"]["max_size_mb"] > 0


def test_every_line_of_a_key_explains_it():
    for line in study_text(FACTS).splitlines():
        if re.match(r" +(# )?\w+: \S", line):
            assert " # " in line.replace("  # ", "", 1), line


def test_the_loader_gives_what_the_model_takes():
    space = {"__name__": "task", "__file__": "task.py"}
    exec(compile(task_text(FACTS), "task.py", "exec"), space)
    with pytest.warns(UserWarning, match="RANDOM DATA STAND IN"):
        splits = space["load_data"]()
    assert set(splits) == {"search", "confirm", "calibration"}
    for name, dtype, shape in (
        ("serving:0", "float32", (128, 3, 16)),
        ("ids", "int64", (128, 7)),
        ("attention_mask", "int64", (128, 7)),
        ("flag", "bool", (128,)),
    ):
        array = splits["search"][name]
        assert (array.dtype.name, array.shape) == (dtype, shape)
    assert np.all(splits["search"]["attention_mask"] == 1)
    assert set(np.unique(splits["search"]["ids"])) == {0, 1}


def test_the_metric_runs_once_its_comment_is_taken_away():
    text = task_text(FACTS)
    at = text.index("# def my_metric")
    space = {"__name__": "task", "np": np}
    exec(re.sub(r"(?m)^# ", "", text[at:]), space)
    with warnings.catch_warnings():
        found = space["my_metric"](np.eye(3), np.array([0, 1, 0]))
    assert found.tolist() == [1.0, 1.0, 0.0]


def test_commands_are_quoted_and_sizes_have_no_exponent():
    large = replace(INFO, size_bytes=1_234_000_000)
    text = study_text(replace(FACTS, study="my studies/study.yaml", info=large))
    assert "hamerspace plan 'my studies/study.yaml'" in text
    assert "hamerspace search 'my studies/study.yaml'" in text
    assert "1,234 MB of weights" in text


def outputs(template):
    """What a template writes: the text of its own aside."""
    from hamerspace.search.starter.text import _environment

    environment = _environment()
    source = environment.loader.get_source(environment, template)[0]
    tree = environment.parse(source)
    found = [part for output in tree.find_all(nodes.Output) for part in output.nodes]
    return [part for part in found if not isinstance(part, nodes.TemplateData)]


@pytest.mark.parametrize("template", ["study.yaml.jinja", "task.py.jinja"])
def test_no_template_writes_a_value_without_a_filter_for_its_place(template):
    fit = {"int", "json", "line", "python", "random_array", "rounded", "shapes", "word"}
    for part in outputs(template):
        assert isinstance(part, nodes.Filter), part
        assert part.name in fit | {"number", "section", "choices"}


def test_names_of_the_model_are_data_and_never_code(tmp_path):
    mark = tmp_path / "run"
    breaking = f'open({str(mark)!r}, "w")'
    for name in (
        f'x"""; {breaking}; """',
        f"x'); {breaking} #",
        f"a\n{breaking}\n",
        "x\\",
        "\x85y",
    ):
        spec = TensorSpec(name, "float32", (None, 3))
        info = replace(INFO, inputs=(spec,), outputs=(spec,))
        facts = replace(
            FACTS,
            study=f"a\nname: other\n{name}/study.yaml",
            path=f"../{name}",
            space_reason=name,
            info=info,
        )
        assert yaml.safe_load(study_text(facts))["task"]["source"]["path"] == f"../{name}"
        assert yaml.safe_load(study_text(facts))["name"] == "mine"
        space = {"__name__": "task", "__file__": "task.py"}
        exec(compile(task_text(facts), "task.py", "exec"), space)
        with pytest.warns(UserWarning, match="RANDOM DATA STAND IN"):
            assert set(space["load_data"]()["search"]) == {name}
        exec(compile(task_text(replace(facts, data=name)), "task.py", "exec"), dict(space))
    assert not mark.exists()
