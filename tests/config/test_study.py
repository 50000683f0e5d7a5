import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from jsonschema import ValidationError as SchemaError
from pydantic import ValidationError

from hamerspace.config.study import LoadedStudy, StudyConfig, study_schema

ROOT = Path(__file__).parents[2]
TASK = {"source": {"path": "model.onnx"}}


def config(**values):
    return StudyConfig.model_validate({"name": "s", "task": TASK, **values})


def test_a_study_survives_json():
    one = config(constraints={"max_size_mb": 3}, objectives=["size"])
    assert StudyConfig.model_validate_json(one.model_dump_json()) == one


def test_the_schema_describes_every_limit():
    schema = json.loads(json.dumps(study_schema()))
    assert schema["additionalProperties"] is False
    limit = schema["$defs"]["LimitsSection"]["properties"]["max_size_mb"]
    assert limit["anyOf"][0]["exclusiveMinimum"] == 0


def test_the_schema_takes_the_studies_of_this_repository():
    validator = Draft202012Validator(study_schema())
    found = sorted((ROOT / "studies").glob("*/study.yaml"))
    assert found
    for path in found:
        validator.validate(yaml.safe_load(path.read_text()))
    with pytest.raises(SchemaError):
        validator.validate({"name": "s", "task": TASK, "constrains": {}})


@pytest.mark.parametrize(
    "source",
    [
        {},
        {"path": "a.onnx", "builder": "task:build"},
        {"path": "a.onnx", "weights": "w.safetensors"},
    ],
)
def test_a_source_is_a_file_or_a_builder(source):
    with pytest.raises(ValidationError):
        config(task={"source": source})


def test_paths_are_resolved_from_the_root(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    values = {"source": {"builder": "t:b", "weights": "w.safetensors"}, "data": {"path": "~/d.npz"}}
    loaded = LoadedStudy(config=config(task=values, space="my/space.yaml"), root=tmp_path)
    assert loaded.weights_path == tmp_path / "w.safetensors"
    assert loaded.data_path == tmp_path / "home" / "d.npz"
    assert loaded.space_path == tmp_path / "my/space.yaml"
    assert loaded.source_path is None


def test_a_config_cannot_be_changed():
    with pytest.raises(ValidationError):
        config().name = "other"


@pytest.mark.parametrize("sampler", ["tpe", "nsgaii", "gp", "random"])
def test_a_least_gain_needs_a_sampler_that_foresees_gains(sampler):
    with pytest.raises(ValidationError) as refused:
        config(budget={"min_gain_percent": 1}, search={"sampler": sampler})
    (error,) = refused.value.errors()
    assert error["msg"].endswith(
        f"budget.min_gain_percent needs a sampler that foresees gains: auto or surrogate, "
        f"not {sampler}"
    )


@pytest.mark.parametrize("sampler", ["auto", "surrogate"])
def test_our_own_samplers_take_a_least_gain(sampler):
    found = config(budget={"min_gain_percent": 1}, search={"sampler": sampler})
    assert found.budget.min_gain_percent == 1.0
