from hamerspace.backends.base import Host
from hamerspace.backends.tvm.config import CONFIG
from hamerspace.environments import ENVIRONMENTS
from hamerspace.tasks.model import SourceInfo, TensorSpec

SPECS = (TensorSpec("x", "float32", (None, 4)),)
HOST = Host("x86_64", frozenset())


def masks(*families):
    return CONFIG.capabilities(SourceInfo("onnx", SPECS, SPECS, 10, 40, families), HOST)


def test_recurrent_models_are_refused_as_a_whole():
    (mask,) = masks("rnn")
    assert (mask.parameter, mask.values) == ("backend", ("tvm",))
    assert masks("conv") == ()


def test_without_its_environment_it_is_missing_and_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.setenv("HAMERSPACE_DATA", str(tmp_path))
    assert CONFIG.missing() == ("tvm",)
    assert CONFIG.hint() == "hamerspace backends install tvm"
    assert CONFIG.versions() == {}


def test_libraries_are_for_the_processor_at_hand():
    assert CONFIG.compiles_for_host({})


def test_people_are_told_that_it_is_slow():
    assert "slow" in ENVIRONMENTS.load("tvm").title
    assert CONFIG.known_recipes(SourceInfo("onnx", SPECS, SPECS, 1, 4, ()))[0].latency_ratio > 1
