import pickle
import subprocess
import sys

import pytest

from hamerspace.errors import ConfigError
from hamerspace.recipe import SCHEMA_VERSION, Condition, Mask, Parameter, Recipe

PARAMETERS = {"backend": "onnxruntime", "prune.ratio": 0.3, "recover.epochs": 2, "flag": True}


def test_json_gives_the_same_recipe_back():
    recipe = Recipe(PARAMETERS)
    again = Recipe.from_json(recipe.to_json())
    assert again == recipe
    assert again.id == recipe.id
    assert {n: type(v) for n, v in again.parameters.items()} == {
        n: type(v) for n, v in sorted(PARAMETERS.items())
    }


def test_the_order_of_the_parameters_does_not_matter():
    turned = Recipe(dict(reversed(PARAMETERS.items())))
    assert turned == Recipe(PARAMETERS)
    assert turned.id == Recipe(PARAMETERS).id
    assert turned.to_json() == Recipe(PARAMETERS).to_json()
    assert list(turned) == sorted(PARAMETERS)


@pytest.mark.parametrize(
    "change",
    [{"prune.ratio": 0.4}, {"flag": 1}, {"recover.epochs": 2.0}, {"backend": "openvino"}, {"x": 0}],
)
def test_other_values_are_another_id(change):
    assert Recipe({**PARAMETERS, **change}).id != Recipe(PARAMETERS).id


def test_an_id_is_the_same_in_every_process_and_release():
    assert Recipe({"backend": "onnxruntime", "prune.ratio": 0.3}).id == "61ea7a2d8531"
    code = (
        "from hamerspace import Recipe;"
        "print(Recipe({'prune.ratio': 0.3, 'backend': 'onnxruntime'}).id)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "61ea7a2d8531"


def test_a_recipe_cannot_be_changed():
    recipe = Recipe(PARAMETERS)
    with pytest.raises(TypeError):
        recipe.parameters["prune.ratio"] = 0.9
    with pytest.raises(AttributeError):
        recipe.parameters = {}


def test_the_dictionary_it_was_made_from_is_not_shared():
    given = dict(PARAMETERS)
    recipe = Recipe(given)
    given["prune.ratio"] = 0.9
    assert recipe["prune.ratio"] == 0.3


def test_recipes_are_keys_and_travel_between_processes():
    recipe = Recipe(PARAMETERS)
    assert {recipe: 1}[Recipe(PARAMETERS)] == 1
    assert pickle.loads(pickle.dumps(recipe)) == recipe


def test_absent_parameters():
    recipe = Recipe(PARAMETERS)
    assert recipe.get("no.such") is None
    assert recipe.get("no.such", 3) == 3
    with pytest.raises(KeyError):
        recipe["no.such"]
    assert recipe.backend == "onnxruntime"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nonsense", "not a recipe"),
        ("[]", "not a recipe"),
        ("{}", "not a recipe"),
        ('{"schema_version": 1, "parameters": {}}', "mapping with a 'backend'"),
        ('{"schema_version": 1, "parameters": ["backend"]}', "'parameters' should be an object"),
        ('{"schema_version": 1e999, "parameters": {}}', "'schema_version' should be"),
        ('{"schema_version": 1, "parameters": {"backend": 3}}', "with a 'backend'"),
        (
            '{"schema_version": 1, "parameters": {"backend": "x", "y": [1]}}',
            "'parameters.y' should",
        ),
        ('{"schema_version": 1, "parameters": {"backend": "x", "y": NaN}}', "'y' must be a finite"),
        ("[" * 100_000, "recursion limit"),
        (
            f'{{"schema_version": {SCHEMA_VERSION + 1}, "parameters": {{"backend": "x"}}}}',
            "newer than this Hamerspace knows .*upgrade",
        ),
    ],
)
def test_what_is_no_recipe_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        Recipe.from_json(text)


def test_conditions():
    either = Condition("a", ("x", "y"))
    not_zero = Condition("a", excluded=(0.0,))
    assert either.holds({"a": "y"})
    assert not either.holds({"a": "z"})
    assert not either.holds({})
    assert not_zero.holds({"a": 0.5})
    assert not not_zero.holds({"a": 0.0})
    assert not not_zero.holds({})
    assert (str(either), str(not_zero)) == ("a is x, y", "a is not 0.0")


@pytest.mark.parametrize(
    ("value", "legal"), [(0.0, True), (0.5, True), (1, True), (1.1, False), (True, False)]
)
def test_numbers_within_a_range_are_legal(value, legal):
    assert Parameter("p", 0.0, "", low=0.0, high=1.0).accepts(value) == legal


@pytest.mark.parametrize(("value", "legal"), [("a", True), ("b", False), (1, True), (True, False)])
def test_listed_values_are_legal(value, legal):
    assert Parameter("p", "a", "", ("a", 1)).accepts(value) == legal


def test_masks():
    assert Mask("p", (1, 2), "").covers(2)
    assert not Mask("p", (1, 2), "").covers(3)
    all_but_zero = Mask("p", (), "", excluded=(0.0,))
    assert all_but_zero.covers(0.3)
    assert not all_but_zero.covers(0.0)


@pytest.mark.parametrize(("value", "legal"), [(1, True), (2.0, False), (1.5, False), (True, False)])
def test_a_whole_number_is_asked_for_where_the_default_is_one(value, legal):
    assert Parameter("p", 1, "", low=1, high=9).accepts(value) == legal


def test_alternatives_of_a_condition_will_do_instead():
    either = Condition("a", (1,), alternatives=(Condition("b", excluded=(0,)),))
    assert either.holds({"a": 1})
    assert either.holds({"a": 2, "b": 5})
    assert either.holds({"b": 5})
    assert not either.holds({"a": 2, "b": 0})
    assert not either.holds({})
    assert either.parameters == ("a", "b")
    assert str(either) == "a is 1 or b is not 0"


def test_a_recipe_shows_as_what_makes_it():
    recipe = Recipe(PARAMETERS)
    assert eval(repr(recipe), {"Recipe": Recipe}) == recipe
    assert repr(Recipe(PARAMETERS, 0)).endswith(", 0)")


def test_a_notebook_shows_a_recipe_as_a_table():
    shown = Recipe({"backend": "<b>", "prune.ratio": 0.3})._repr_html_()
    assert "prune.ratio" in shown
    assert "&lt;b&gt;" in shown
