import pytest
import yaml
from jsonschema import Draft202012Validator
from jsonschema import ValidationError as SchemaError
from pydantic import ValidationError

from hamerspace.config.packaged import packaged_spaces
from hamerspace.config.space import DeclaredParameter, SpaceConfig, space_schema
from hamerspace.recipe import Condition


def space(**parameters):
    named = {"backend": ["onnxruntime"], **parameters}
    return SpaceConfig.model_validate({"version": 1, "name": "s", "parameters": named})


def test_short_forms_become_choices():
    declared = space(a="none", b=[1, 2], c=True, d={"choices": 0.5}).parameters
    assert declared["a"].choices == ("none",)
    assert declared["b"].choices == (1, 2)
    assert declared["c"].choices == (True,)
    assert type(declared["c"].choices[0]) is bool
    assert declared["d"].choices == (0.5,)


def test_declared_values_read_as_a_line():
    declared = space(
        a=[1, "x"],
        i={"low": 1, "high": 8, "step": 2},
        f={"low": 0.1, "high": 1.0, "log": True, "when": {"backend": ["a", "b"], "a": 1}},
    ).parameters
    assert [str(declared[name]) for name in "aif"] == [
        "1, x",
        "1 to 8 by 2",
        "0.1 to 1.0 (log) where backend is a, b and a is 1",
    ]


def test_ranges_tell_integers_from_floats():
    declared = space(i={"low": 1, "high": 8}, f={"low": 0, "high": 0.7, "step": 0.1}).parameters
    assert declared["i"].integer
    assert not declared["f"].integer
    assert declared["f"].high == 0.7


def test_conditions_take_a_value_or_a_list():
    when = {"backend": "onnxruntime", "x": [1, 2]}
    declared = space(a={"choices": [1, 2], "when": when}).parameters["a"]
    assert declared.when == (Condition("backend", ("onnxruntime",)), Condition("x", (1, 2)))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "has no values"),
        ([1, 1], "lists 1 twice"),
        ([1, True], "lists True twice"),
        ([float("nan")], "must be a finite number, not nan"),
        (float("inf"), "must be a finite number"),
        (None, "write 'none'"),
        ([[1]], "must be text, a number"),
        ({}, "needs 'choices', or both"),
        ({"low": 1}, "needs 'choices', or both"),
        ({"low": 1, "high": 1}, "not below high"),
        ({"low": "a", "high": 1}, "must be a finite number, not 'a'"),
        ({"low": 0, "high": 1, "step": 0}, "must be above 0"),
        ({"low": 0, "high": 1, "step": -0.1}, "must be above 0"),
        ({"low": 0, "high": 1, "step": 2}, "at most high - low"),
        ({"low": 0, "high": 1, "step": 1e-9}, "more than 10,000 values; give a larger 'step'"),
        ({"low": 1, "high": 10**9}, "more than 10,000 values"),
        ({"low": 0, "high": 1, "log": True}, "starts above 0"),
        ({"low": 1, "high": 9, "step": 1, "log": True}, "both 'log' and 'step'"),
        ({"choices": [1], "low": 0}, "both 'choices' and a range"),
        ({"choices": [1], "when": ["x"]}, "Condition"),
        ({"choices": [1], "when": 3}, "must be a mapping"),
        ({"choices": [1], "when": {"x": []}}, "never holds"),
        ({"choices": [1], "when": {"p": 1}}, "depend on itself"),
        ({"choices": [1], "wen": {}}, "Extra inputs"),
    ],
)
def test_what_is_refused(value, words):
    with pytest.raises(ValidationError, match=words):
        space(p=value)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [({}, "is empty"), ({"a": 1}, "has no 'backend'"), ({"backend": [1]}, "names of backends")],
)
def test_a_space_has_backends(parameters, words):
    with pytest.raises(ValidationError, match=words):
        SpaceConfig.model_validate({"name": "s", "parameters": parameters})


def test_another_version_is_refused():
    with pytest.raises(ValidationError, match="Input should be 1"):
        SpaceConfig.model_validate({"version": 2, "name": "s", "parameters": {"backend": "a"}})


def test_a_space_survives_json_and_python():
    one = space(
        a={"choices": [1, 2], "when": {"backend": ["onnxruntime"]}}, f={"low": 1, "high": 2}
    )
    assert SpaceConfig.model_validate_json(one.model_dump_json()) == one
    assert SpaceConfig.model_validate(one.model_dump()) == one


def test_a_declared_parameter_can_be_made_in_python():
    when = (Condition("backend", ("onnxruntime",)),)
    assert DeclaredParameter(choices=("a",), when=when).when == when


def test_the_schema_takes_the_spaces_of_this_repository_and_their_short_forms():
    validator = Draft202012Validator(space_schema())
    for path in packaged_spaces().values():
        validator.validate(yaml.safe_load(path.read_text()))
    conditional = {"choices": [1, 2], "when": {"backend": "openvino"}}
    validator.validate({"name": "s", "parameters": {"backend": ["a"], "b": 1, "c": conditional}})
    with pytest.raises(SchemaError):
        validator.validate({"name": "s", "parameters": {"backend": {"chioces": ["a"]}}})
