import itertools

import pytest

from hamerspace.backends import BACKENDS
from hamerspace.backends.base import Host
from hamerspace.config.loading import parse_space_file
from hamerspace.config.packaged import packaged_spaces
from hamerspace.errors import BackendUnavailableError, ConfigError
from hamerspace.recipe import Condition
from hamerspace.space.assemble import assemble_space

PLAIN_HOST = Host("x86_64", frozenset())


def _values(space, name):
    return next(c.values for c in space.choices if c.name == name)


def _recipes(space):
    return [dict(recipe.parameters) for recipe in space.recipes()]


@pytest.mark.parametrize("name", sorted(packaged_spaces()))
@pytest.mark.parametrize("kind", ["conv", "transformer", "onnx"])
@pytest.mark.parametrize("host", [PLAIN_HOST, Host("aarch64", frozenset())])
def test_every_space_that_comes_along_holds_baselines_for_every_kind_of_model(
    name, kind, host, sources
):
    config = parse_space_file(packaged_spaces()[name])
    space = assemble_space(config, getattr(sources, kind), host, "cross_entropy")
    for backend in _values(space, "backend"):
        baseline = space.complete({"backend": backend, f"{backend}.quantization": "none"})
        assert baseline is not None
    assert space.count() is None or space.count() > 3


def test_recipes_are_what_a_brute_force_over_the_conditions_finds(assemble):
    declared = {
        "backend": ["onnxruntime", "openvino"],
        "onnxruntime.quantization": ["none", "dynamic_int8", "static_int8"],
        "onnxruntime.weight_type": ["qint8", "quint8"],
        "onnxruntime.optimization_level": ["all", "basic"],
        "openvino.quantization": ["none", "weights_int8"],
    }
    space = assemble(declared)
    found = set()
    for values in itertools.product(*declared.values()):
        chosen = dict(zip(declared, values, strict=True))
        own = f"{chosen['backend']}."
        kept = {n: v for n, v in chosen.items() if n == "backend" or n.startswith(own)}
        kind = kept.get("onnxruntime.quantization")
        if kind != "dynamic_int8":
            kept.pop("onnxruntime.weight_type", None)
        if kind == "static_int8":
            kept.pop("onnxruntime.optimization_level", None)
        found.add(tuple(sorted(kept.items())))
    ours = {tuple(sorted((n, v) for n, v in r.items() if n in declared)) for r in _recipes(space)}
    assert ours == found
    assert space.count() == len(found) == len(_recipes(space)) == 9


def test_parameters_that_are_not_declared_stay_at_their_defaults(assemble):
    recipes = _recipes(assemble({"backend": "onnxruntime"}))
    assert recipes == [
        {
            "backend": "onnxruntime",
            "onnxruntime.optimization_level": "all",
            "onnxruntime.fusion": "none",
            "onnxruntime.quantization": "none",
        }
    ]


def test_a_condition_of_the_space_is_added_to_those_of_the_backend(assemble):
    space = assemble(
        {
            "backend": ["onnxruntime"],
            "onnxruntime.quantization": ["none", "dynamic_int8"],
            "onnxruntime.optimization_level": {
                "choices": ["all", "basic"],
                "when": {"onnxruntime.quantization": "none"},
            },
        }
    )
    for recipe in _recipes(space):
        wanted = recipe["onnxruntime.quantization"] == "none"
        assert ("onnxruntime.optimization_level" in recipe) == wanted
    assert space.count() == 3


def test_a_stepped_range_is_a_list_of_exact_values(assemble):
    declared = {"backend": "onnxruntime", "prune.ratio": {"low": 0.0, "high": 0.7, "step": 0.1}}
    wanted = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    assert _values(assemble(declared), "prune.ratio") == wanted


def test_whole_numbers_stand_for_a_real_parameter(assemble):
    space = assemble({"backend": "onnxruntime", "prune.ratio": [0, 0.5]})
    assert [type(v) for v in _values(space, "prune.ratio")] == [float, float]


def test_a_continuous_range_has_no_number_of_recipes(assemble):
    space = assemble({"backend": "onnxruntime", "prune.ratio": {"low": 0.1, "high": 0.7}})
    assert space.count() is None
    assert {r["prune.ratio"] for r in _recipes(space)} == {0.1, 0.7}


def test_a_logarithmic_range_of_a_real_parameter_is_continuous_also_between_whole_numbers(assemble):
    declared = {
        "backend": "onnxruntime",
        "prune.ratio": 0.5,
        "recover.method": "distill",
        "distill.temperature": {"low": 1, "high": 16, "log": True},
    }
    choice = next(c for c in assemble(declared).choices if c.name == "distill.temperature")
    assert choice.continuous
    assert choice.listed == (1, 4, 16)


def test_a_logarithmic_range_of_whole_numbers_doubles(assemble):
    declared = {
        "backend": "onnxruntime",
        "prune.ratio": 0.5,
        "recover.method": "finetune",
        "recover.epochs": {"low": 1, "high": 20, "log": True},
    }
    assert _values(assemble(declared), "recover.epochs") == (1, 2, 4, 8, 16, 20)


def test_what_a_model_cannot_do_is_taken_out_with_a_reason(assemble, sources):
    declared = {"backend": "onnxruntime", "prune.ratio": [0.0, 0.3, 0.5]}
    space = assemble(declared, source=sources.recurrent)
    assert _values(space, "prune.ratio") == (0.0,)
    assert any(m.parameter == "prune.ratio" and m.reason for m in space.masks)


@pytest.mark.parametrize(("low", "left"), [(0.0, (0.0,)), (0.1, ())])
def test_what_a_model_cannot_do_is_taken_out_of_a_continuous_range(assemble, sources, low, left):
    declared = {"backend": "onnxruntime", "prune.ratio": {"low": low, "high": 0.7}}
    if left:
        assert _values(assemble(declared, source=sources.recurrent), "prune.ratio") == left
    else:
        with pytest.raises(ConfigError, match="holds no recipe"):
            assemble(declared, source=sources.recurrent)


@pytest.mark.parametrize(
    "epochs", [{"low": 1.0, "high": 4.0}, {"low": 1, "high": 4, "step": 0.5}, [1.5]]
)
def test_whole_numbers_are_asked_for_where_a_parameter_counts(assemble, epochs):
    declared = {"backend": "onnxruntime", "prune.ratio": [0.5], "recover.epochs": epochs}
    with pytest.raises(ConfigError, match=r"recover.epochs cannot be 1.*whole numbers 1 to"):
        assemble(declared)


def test_what_a_processor_cannot_do_is_taken_out_with_a_reason(assemble):
    declared = {"backend": "openvino", "openvino.precision": ["f32", "bf16"]}
    assert _values(assemble(declared), "openvino.precision") == ("f32", "bf16")
    plain = assemble(declared, host=PLAIN_HOST)
    assert _values(plain, "openvino.precision") == ("f32",)
    assert any("bf16" in m.values for m in plain.masks)


def test_a_value_whose_parameter_has_nothing_left_is_a_dead_end(assemble):
    """Pruning below 'recover.method: [distill]' needs a train split; without one it goes."""
    declared = {
        "backend": "onnxruntime",
        "prune.ratio": [0.0, 0.5],
        "recover.method": ["distill"],
    }
    assert _values(assemble(declared), "prune.ratio") == (0.0, 0.5)
    space = assemble(declared, loss=None)
    assert _values(space, "prune.ratio") == (0.0,)
    assert space.count() == 1


def test_nothing_left_is_an_error_that_says_why(assemble, sources):
    declared = {"backend": "onnxruntime", "prune.ratio": [0.3, 0.5]}
    with pytest.raises(ConfigError, match=r"space 'mine' holds no recipe for this model: .+"):
        assemble(declared, source=sources.recurrent)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"backend": "onnxruntime", "onnxruntime.quantisation": "none"},
            r"unknown parameter 'onnxruntime.quantisation'; did you mean 'onnxruntime.quantizat",
        ),
        (
            {"backend": "onnxruntime", "onnxruntime.quantization": "int9"},
            r"onnxruntime.quantization cannot be 'int9'; it can be: none, static_int8",
        ),
        ({"backend": "onnxruntime", "prune.ratio": [0.0, 1.5]}, r"cannot be 1.5; it can be: 0 to"),
        (
            {"backend": "onnxruntime", "prune.ratio": {"low": 0.0, "high": 2.0}},
            r"prune.ratio cannot be 2.0",
        ),
    ],
)
def test_what_nobody_offers_is_refused(assemble, parameters, message):
    with pytest.raises(ConfigError, match=message):
        assemble(parameters)


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ({"prune.ration": 0.5}, r"unknown parameter 'prune.ration'; did you mean 'prune.ratio'"),
        (
            {"onnxruntime.quantization": "int8"},
            r"being 'int8', which it cannot be; it can be: none",
        ),
        ({"backend": "onxruntime"}, r"being 'onxruntime'"),
    ],
)
def test_a_condition_that_can_never_hold_is_refused(assemble, when, message):
    choice = {"choices": ["all", "basic"], "when": when}
    with pytest.raises(ConfigError, match=message):
        assemble({"backend": "onnxruntime", "onnxruntime.optimization_level": choice})


def test_parameters_of_backends_that_are_not_searched_are_left_alone(assemble):
    declared = {"backend": "onnxruntime", "openvino.quantization": ["none", "int8"]}
    assert assemble(declared).count() == 1


def test_conditions_may_be_written_before_what_they_depend_on(assemble):
    space = assemble(
        {
            "prune.ratio": {"choices": [0.0, 0.5], "when": {"backend": "onnxruntime"}},
            "backend": ["onnxruntime", "openvino"],
        }
    )
    ratios = {r["backend"]: "prune.ratio" in r for r in _recipes(space)}
    assert ratios == {"onnxruntime": True, "openvino": False}


def test_conditions_that_form_a_circle_are_refused(assemble):
    with pytest.raises(ConfigError, match="form a circle"):
        assemble(
            {
                "prune.ratio": {"choices": [0.0, 0.5], "when": {"backend": "onnxruntime"}},
                "backend": {"choices": ["onnxruntime"], "when": {"prune.ratio": 0.5}},
            }
        )


@pytest.fixture
def without_openvino(monkeypatch):
    config = BACKENDS.load("openvino")
    monkeypatch.setattr(type(config), "missing", lambda self: ("openvino",))


def test_a_runtime_that_is_not_installed_only_loses_its_choices(assemble, without_openvino):
    space = assemble({"backend": ["onnxruntime", "openvino"]})
    assert _values(space, "backend") == ("onnxruntime",)
    lines = [m.reason for m in space.masks if m.parameter == "backend"]
    assert lines == ["OpenVINO is not installed (pip install 'hamerspace[openvino]')"]


def test_asking_for_a_runtime_that_is_not_installed_is_an_error(assemble, without_openvino):
    with pytest.raises(BackendUnavailableError, match=r"pip install 'hamerspace\[openvino\]'"):
        assemble({"backend": ["onnxruntime", "openvino"]}, only=("openvino",))


def test_the_backends_that_are_asked_for_are_the_only_ones(assemble):
    space = assemble({"backend": ["onnxruntime", "openvino", "pytorch"]}, only=("openvino",))
    assert {r["backend"] for r in _recipes(space)} == {"openvino"}


def test_an_unknown_backend_is_refused_with_the_nearest(assemble):
    with pytest.raises(BackendUnavailableError, match="did you mean 'openvino'"):
        assemble({"backend": ["onnxruntime"]}, only=("openvina",))
    with pytest.raises(BackendUnavailableError, match="did you mean 'openvino'"):
        assemble({"backend": ["openvina"]})


def test_a_backend_that_the_space_does_not_list_is_refused(assemble):
    with pytest.raises(ConfigError, match="does not list backend 'pytorch'"):
        assemble({"backend": ["onnxruntime"]}, only=("pytorch",))


def test_a_backend_of_another_package_takes_part(assemble, plugins):
    space = assemble({"backend": ["onnxruntime", "unruly"], "unruly.behaviour": ["none", "slow"]})
    unruly = [r for r in _recipes(space) if r["backend"] == "unruly"]
    assert [r["unruly.behaviour"] for r in unruly] == ["none", "slow"]


def test_conditions_hold_for_every_recipe(assemble):
    space = assemble(
        {
            "backend": ["onnxruntime", "openvino", "pytorch"],
            "onnxruntime.quantization": ["none", "dynamic_int8"],
            "prune.ratio": [0.0, 0.5],
            "recover.method": ["finetune", "distill"],
            "distill.temperature": [2.0, 4.0],
        }
    )
    choices = {c.name: c for c in space.choices}
    for recipe in _recipes(space):
        for name, choice in choices.items():
            active = all(c.holds(recipe) for c in choice.when)
            left_out = active and choice.parameter.optional
            assert (name in recipe) == active or left_out
            assert name not in recipe or choice.contains(recipe[name])


def test_the_condition_on_the_backend_comes_first(assemble):
    for choice in assemble({"backend": ["onnxruntime"]}).choices:
        if choice.name.startswith("onnxruntime."):
            assert choice.when[0] == Condition("backend", ("onnxruntime",))


@pytest.mark.parametrize("temperatures", [[2.0, 4.0, 8.0], [2.0, 8.0], {"low": 1.0, "high": 9.0}])
@pytest.mark.parametrize(("loss", "weights"), [("mse", [0.5, 0.7]), ("none", [0.7])])
def test_what_a_loss_leaves_without_effect_tells_no_recipes_apart(
    assemble, temperatures, loss, weights
):
    declared = {
        "backend": "onnxruntime",
        "prune.ratio": [0.0, 0.5],
        "recover.method": ["none", "distill"],
        "distill.temperature": temperatures,
        "distill.weight": [0.5, 0.7],
    }
    if isinstance(temperatures, dict):
        declared["distill.temperature"] = {**temperatures, "step": 1.0}
    distilled = [r for r in _recipes(assemble(declared, loss=loss)) if "distill.weight" in r]
    assert [r["distill.weight"] for r in distilled] == weights
    assert {r["distill.temperature"] for r in distilled} == {4.0}
    assert len(_recipes(assemble(declared))) > 2 + len(distilled)
