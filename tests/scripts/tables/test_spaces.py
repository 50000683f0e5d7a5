import json

from hamerspace.backends.base import Host
from hamerspace.config.space import SpaceConfig
from hamerspace.space.assemble import assemble_space
from scripts.tables.spaces import space_from_dict, space_to_dict
from tests.scripts.tables.conftest import SOURCE


def _again(space):
    return space_from_dict(json.loads(json.dumps(space_to_dict(space))))


def test_a_space_survives_json(space):
    again = _again(space)
    assert again.name == space.name
    assert again.choices == space.choices
    assert list(again.recipes()) == list(space.recipes())


def test_a_continuous_range_survives_too():
    parameters = {"backend": "onnxruntime", "prune.ratio": {"low": 0.2, "high": 0.6}}
    config = SpaceConfig.model_validate({"name": "wide", "parameters": parameters})
    space = assemble_space(config, SOURCE, Host("x86_64", frozenset()), "cross_entropy")
    assert _again(space).choices == space.choices
    assert _again(space).count() is None
