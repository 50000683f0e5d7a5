"""What the arguments of commands say of a study."""

import pytest

from hamerspace.cli.target import flags_of, study_of
from hamerspace.errors import ConfigError


def test_what_is_not_given_is_left_out():
    given = {"timeout_s": 5.0, "trials": None, "objectives": "size, quality", "inputs": ["1x8"]}
    assert flags_of(given) == {"timeout_s": 5.0, "objectives": ("size", "quality")}


def test_hardware_stands_for_flags_that_others_go_over():
    given = {"target_hardware": "edge", "threads": 2}
    assert flags_of(given) == {
        "space": "edge",
        "threads": 2,
        "objectives": ("size", "quality", "latency"),
    }
    with pytest.raises(ConfigError, match="did you mean 'edge'"):
        flags_of({"target_hardware": "edg"})


def test_a_study_file_has_its_values_where_nothing_is_given(onnx_task, write_study, tmp_path):
    given = {"inputs": None, "trust_pickle": False, "goal": "quantize"}
    config = study_of(str(write_study(tmp_path)), given).loaded.config
    assert config.goal == "quantize"
    assert config.space == "space.yaml"
    config = study_of(str(onnx_task / "model.onnx"), given, before={"space": "auto"}).loaded.config
    assert config.space == "auto"
