"""What did well for similar models comes first, as far as it fits."""

import pytest

from hamerspace.search.history.alike import likeness, recall
from tests.search.history.conftest import SETTING, entry, tried

SIZE_MB = 0.04


def _recalled(spaces, *entries, **setting):
    found = recall(entries, SETTING.model_copy(update=setting), spaces("quick"), SIZE_MB)
    assert {first.origin for first in found} <= {"history"}
    return [
        (first.recipe.backend, first.recipe[f"{first.recipe.backend}.quantization"])
        for first in found
    ]


def test_a_study_is_most_like_itself():
    assert likeness(SETTING, SETTING) == 1.0


@pytest.mark.parametrize("other", [{"hardware": "gpu"}, {"machine": "aarch64"}])
def test_nothing_carries_over_to_another_kind_of_machine(other):
    assert likeness(SETTING, SETTING.model_copy(update=other)) == 0.0


@pytest.mark.parametrize(
    ("other", "wanted"),
    [
        ({"op_families": ("conv", "linear")}, 2 / 3),
        ({"op_families": ("attention", "linear")}, 1 / 4),
        ({"parameters": 100_009}, 1 / 2),
        ({"parameters": 999}, 1 / 2),
        ({"threads": 2}, 0.8),
        ({"metric": "rmse", "batch_size": 8}, 0.64),
        ({"limits": {}}, 1.0),
        ({"objectives": ("size",)}, 0.8),
        ({"objectives": tuple(reversed(SETTING.objectives))}, 1.0),
    ],
)
def test_what_differs_makes_studies_less_alike(other, wanted):
    one, two = SETTING, SETTING.model_copy(update=other)
    assert likeness(one, two) == pytest.approx(wanted, rel=1e-3)
    assert likeness(two, one) == pytest.approx(likeness(one, two))


def test_models_without_known_layers_are_alike():
    one = SETTING.model_copy(update={"op_families": (), "parameters": 0})
    assert likeness(one, one) == 1.0


def test_a_study_that_is_not_alike_lends_nothing(spaces):
    assert _recalled(spaces, entry(op_families=("rnn",))) == []
    assert _recalled(spaces, entry(machine="aarch64")) == []
    assert _recalled(spaces, entry(parameters=10**9)) == []


def test_the_recipe_of_the_most_similar_study_comes_first(spaces):
    far = entry(tried("weights_int8"), name="far", parameters=200_000)
    near = entry(tried("static_int8", "onnxruntime"), name="near")
    wanted = [("onnxruntime", "static_int8"), ("openvino", "weights_int8")]
    assert _recalled(spaces, far, near) == wanted
    assert _recalled(spaces, near, far) == wanted


def test_what_several_studies_found_outweighs_what_one_did(spaces):
    both = tried("weights_int8")
    one = entry(both, tried("int8", latency=0.1), name="one")
    two = entry(both, tried("static_int8", "onnxruntime", latency=0.1), name="two")
    three = entry(both, name="three")
    assert _recalled(spaces, one, two)[0] != ("openvino", "weights_int8")
    assert _recalled(spaces, one, two, three)[0] == ("openvino", "weights_int8")


def test_recipes_of_one_study_are_ordered_by_what_is_wanted_now(spaces):
    fast, small = (
        tried(latency=0.1, size=1.0),
        tried("static_int8", "onnxruntime", latency=0.9, size=0.2),
    )
    names = [("openvino", "weights_int8"), ("onnxruntime", "static_int8")]
    assert _recalled(spaces, entry(fast, small)) == names
    assert _recalled(spaces, entry(fast, small), objectives=("size",)) == [names[1]]
    assert _recalled(spaces, entry(small, fast), objectives=("latency",)) == names


def test_what_is_expected_to_miss_a_limit_comes_last(spaces):
    lossy = tried(latency=0.1, drop=3.0)
    large = tried("int8", latency=0.2, size=0.9)
    plain = tried("static_int8", "onnxruntime", latency=0.8)
    found = _recalled(
        spaces, entry(lossy, large, plain), limits={"max_accuracy_drop": 1.0, "max_size_mb": 0.02}
    )
    assert found[0] == ("onnxruntime", "static_int8")
    assert len(found) == 3


def test_what_was_worse_than_the_source_in_everything_is_left_out(spaces):
    assert _recalled(spaces, entry(tried(latency=1.2, size=1.1, drop=0.0))) == []


def test_recipes_that_the_space_does_not_hold_are_skipped(spaces):
    gone = tried("int2")
    unknown = gone.model_copy(update={"parameters": {"backend": "nobody", "nobody.x": 1}})
    inert = tried().model_copy(
        update={"parameters": {**tried().parameters, "onnxruntime.quantization": "none"}}
    )
    kept = tried("static_int8", "onnxruntime")
    assert _recalled(spaces, entry(gone, unknown, inert, kept)) == [("onnxruntime", "static_int8")]


def test_it_is_told_where_a_recipe_comes_from_and_what_to_expect(spaces):
    far = entry(tried(latency=0.6), name="far", parameters=20_000)
    near = entry(tried(latency=0.5), name="near")
    (first,) = recall((far, near), SETTING, spaces("quick"), SIZE_MB)
    assert first.learned_from == "near"
    assert first.expected.latency_ratio == 0.5
    assert first.expected.size_ratio == 0.3
    assert first.expected.drop_points == 0.1
