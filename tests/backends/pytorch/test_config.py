"""What the PyTorch backend offers and refuses, and why."""

import pytest

from hamerspace.backends.base import Host
from hamerspace.backends.pytorch import schemes
from hamerspace.backends.pytorch.config import CONFIG
from hamerspace.config.space import SpaceConfig
from hamerspace.constraints import Constraints
from hamerspace.search.warmstart import first_trials
from hamerspace.space.assemble import assemble_space
from hamerspace.tasks.model import SourceInfo, TensorSpec

BF16 = Host("x86_64", frozenset({"avx512_bf16"}))
ADA = Host("x86_64", frozenset(), "Test GPU", (8, 9))
TURING = Host("x86_64", frozenset(), "Test GPU", (7, 5))


def info(format_name="pytorch", families=("conv", "linear"), details=None):
    spec = TensorSpec("x", "float32", (None, 4))
    return SourceInfo(format_name, (spec,), (spec,), 10, 40, tuple(families), details=details or {})


@pytest.fixture(autouse=True)
def everything_installed(monkeypatch):
    monkeypatch.setattr(schemes, "find_spec", lambda name: object())
    monkeypatch.setattr(schemes.shutil, "which", lambda name: f"/usr/bin/{name}")


def masked(source, host=BF16, parameter=None):
    return {
        (mask.parameter if parameter is None else value): mask.reason
        for mask in CONFIG.capabilities(source, host)
        for value in mask.values
        if parameter in (None, mask.parameter)
    }


@pytest.mark.parametrize(
    ("parameters", "compiles"),
    [
        ({}, False),
        ({"quantization": "none", "execution": "eager"}, False),
        ({"quantization": "none", "execution": "inductor"}, True),
        ({"quantization": "torchao_int8"}, True),
        ({"quantization": "static_int8"}, False),
    ],
)
def test_what_inductor_makes_is_for_the_processor_at_hand(parameters, compiles):
    assert CONFIG.compiles_for_host(parameters) is compiles


def offered(source, host=BF16, parameter="pytorch.quantization"):
    choices = next(p.choices for p in CONFIG.parameters() if p.name == parameter)
    return set(choices) - set(masked(source, host, parameter))


def test_on_the_cpu_all_but_what_needs_a_gpu():
    assert offered(info()) == set(schemes.SCHEMES) - {"fp16", "torchao_fp8"}
    assert offered(info(), parameter="pytorch.execution") == {"eager", "frozen", "inductor"}
    assert offered(info(), parameter="pytorch.device") == {"cpu"}


def test_on_a_gpu_what_runs_there():
    compiled = {"torchao_int8", "torchao_int8_weights", "torchao_fp8"}
    assert offered(info(), ADA) == {"none", "fp16", "bf16"} | compiled
    assert offered(info(), ADA, "pytorch.execution") == {"eager", "inductor"}
    assert offered(info(), ADA, "pytorch.device") == {"cuda"}


def test_an_older_gpu_lacks_bfloat16_and_float8():
    assert offered(info(), TURING) == {"none", "fp16", "torchao_int8", "torchao_int8_weights"}
    reason = masked(info(), TURING, "pytorch.quantization")["torchao_fp8"]
    assert reason == "torchao_fp8 needs compute capability 8.9; the Test GPU has 7.5"


@pytest.mark.parametrize("format_name", ["torchscript", "torch_export"])
def test_other_torch_formats_keep_their_precision(format_name):
    assert offered(info(format_name)) == {"none"}


def test_a_torchscript_archive_is_not_compiled():
    assert "inductor" in offered(info("torch_export"), parameter="pytorch.execution")
    assert "inductor" not in offered(info("torchscript"), parameter="pytorch.execution")


@pytest.mark.parametrize("format_name", ["onnx", "keras"])
def test_what_is_converted_to_a_module_has_every_choice(format_name):
    assert offered(info(format_name)) == offered(info())


def test_convolutions_alone_have_static_int8_only():
    assert offered(info(families=("conv",))) == {"none", "bf16", "static_int8"}


def test_recurrent_layers_have_dynamic_int8_only():
    assert offered(info(families=("rnn",))) == {"none", "bf16", "dynamic_int8"}


def test_hugging_face_models_cannot_be_traced_symbolically():
    source = info(details={"transformers": "BertModel"})
    assert "torch.fx" in masked(source, parameter="pytorch.quantization")["static_int8"]


@pytest.mark.parametrize(
    ("host", "refused"),
    [
        (Host("x86_64", frozenset({"avx2"})), True),
        (Host("x86_64", frozenset({"amx_bf16"})), False),
        (Host("aarch64", frozenset()), False),
    ],
)
def test_bf16_needs_hardware(host, refused):
    assert ("bf16" not in offered(info(), host)) is refused


def test_what_is_missing_is_told_with_the_command(monkeypatch):
    monkeypatch.setattr(schemes, "find_spec", lambda name: None)
    reasons = masked(info(), parameter="pytorch.quantization")
    assert "pip install 'hamerspace[bitsandbytes]'" in reasons["bitsandbytes_nf4"]
    assert "pip install 'hamerspace[pytorch]'" in reasons["torchao_int8"]


def test_without_a_compiler_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(schemes.shutil, "which", lambda name: None)
    monkeypatch.setenv("CXX", "my-cxx")
    assert "inductor" not in offered(info(), parameter="pytorch.execution")
    assert (
        "'my-cxx' is not there" in masked(info(), parameter="pytorch.quantization")["torchao_int8"]
    )


def test_known_recipes_start_with_the_baseline():
    first = CONFIG.known_recipes(info())[0]
    assert first.parameters["pytorch.quantization"] == "none"
    assert first.latency_ratio == first.size_ratio == 1.0


def test_the_tool_s_own_default_is_among_the_known():
    (default,) = (r for r in CONFIG.known_recipes(info()) if r.default_of)
    assert default.default_of == "PyTorch dynamic int8"
    assert default.parameters["pytorch.quantization"] == "dynamic_int8"


def test_a_ranking_is_asked_for_only_where_layers_are_kept():
    chosen = {"device": "cpu", "quantization": "static_int8", "float_layers": 2}
    assert CONFIG.sensitivity_parameters(chosen) == {"device": "cpu", "quantization": "static_int8"}
    assert CONFIG.sensitivity_parameters({**chosen, "float_layers": 0}) is None


def assembled(host, hardware):
    kinds = ["none", "fp16", "dynamic_int8", "torchao_fp8"]
    parameters = {"backend": "pytorch", "pytorch.quantization": kinds}
    config = SpaceConfig.model_validate({"name": "mine", "parameters": parameters})
    return assemble_space(config, info(), host, None, hardware=hardware)


def test_a_space_runs_on_the_gpu_that_the_target_has():
    space = assembled(ADA, "gpu")
    recipes = [recipe.parameters for recipe in space.recipes()]
    assert {recipe["pytorch.device"] for recipe in recipes} == {"cuda"}
    assert {recipe["pytorch.quantization"] for recipe in recipes} == {"none", "fp16", "torchao_fp8"}
    first = first_trials(space, info(), Constraints())[0]
    assert first.origin == "baseline"
    assert first.recipe.parameters["pytorch.device"] == "cuda"


def test_recipes_for_the_cpu_do_not_speak_of_the_device():
    recipes = [recipe.parameters for recipe in assembled(BF16, "cpu").recipes()]
    assert {recipe["pytorch.quantization"] for recipe in recipes} == {"none", "dynamic_int8"}
    assert not any("pytorch.device" in recipe for recipe in recipes)
