import numpy as np
import pytest

from hamerspace.recipe import Recipe
from hamerspace.search.surrogate.features import Encoder


def _columns(encoder):
    return {column.names: column for column in encoder.columns}


def _level(encoder, name, recipe):
    return _columns(encoder)[name,].level(recipe.parameters)


def test_recipes_differ_where_their_rows_do(small):
    recipes = list(small.recipes())
    encoder = Encoder(small)
    rows = encoder.encode(recipes)
    np.testing.assert_array_equal(rows, encoder.encode([Recipe(dict(r)) for r in _dicts(recipes)]))
    assert len(np.unique(rows, axis=0)) == len(recipes)


def _dicts(recipes):
    return [dict(reversed(recipe.parameters.items())) for recipe in recipes]


def test_a_row_has_one_level_of_each_column(small):
    encoder = Encoder(small)
    rows = encoder.encode(list(small.recipes()))
    assert set(np.unique(rows)) == {0.0, 1.0}
    for place in encoder.slices:
        np.testing.assert_array_equal(rows[:, place].sum(axis=1), 1.0)
    assert encoder.slices[-1].stop == rows.shape[1]


def test_what_leaves_no_choice_has_no_column(small):
    names = {name for column in Encoder(small).columns for name in column.names}
    assert names == {choice.name for choice in small.choices if choice.asked}


def test_runtimes_share_a_column_for_what_they_have_in_common(small):
    shared = ("onnxruntime.quantization", "openvino.quantization")
    column = _columns(Encoder(small))[shared]
    assert column.levels.count("none") == 1
    plain = [
        {"backend": backend, f"{backend}.quantization": "none"}
        for backend in ("onnxruntime", "openvino")
    ]
    assert len({column.level(parameters) for parameters in plain}) == 1
    assert column.level({"backend": "pytorch"}) == len(column.levels)


def test_an_optional_parameter_that_is_left_out_stands_at_its_default(small):
    encoder = Encoder(small)
    column = _columns(encoder)["prune.ratio",]
    plain = small.complete({"backend": "openvino"})
    assert "prune.ratio" not in plain.parameters
    assert column.levels[column.level(plain.parameters)] == 0.0


def test_an_inactive_parameter_has_a_level_of_its_own(small):
    encoder = Encoder(small)
    recipe = small.complete({"backend": "openvino"})
    column = _columns(encoder)["onnxruntime.quantization",]
    assert _level(encoder, "onnxruntime.quantization", recipe) == len(column.levels)
    assert column.similarity()[-1].tolist() == [0.0] * len(column.levels) + [1.0]


def test_near_numbers_are_alike_and_names_are_not(small):
    columns = _columns(Encoder(small))
    numbers = columns["prune.ratio",].similarity()
    assert numbers[0, 0] == 1.0
    assert numbers[1, 1] > numbers[1, 2] > numbers[1, 3]
    # Nothing pruned is no small amount of pruning.
    assert numbers[1, 0] < 0.5 * numbers[1, 2]
    assert numbers[0, 1] > numbers[0, 2] > numbers[0, 3] == pytest.approx(np.exp(-2.0) / 2)
    names = columns["onnxruntime.quantization",].similarity()
    np.testing.assert_array_equal(names, np.eye(len(names)))


def test_a_value_of_a_continuous_range_takes_the_nearest_level(continuous):
    encoder = Encoder(continuous)
    levels = _columns(encoder)["prune.ratio",].levels
    for ratio, near in ((0.2, 0.2), (0.21, 0.2), (0.39, 0.4), (0.6, 0.6)):
        recipe = continuous.complete({"backend": "onnxruntime", "prune.ratio": ratio})
        assert levels[_level(encoder, "prune.ratio", recipe)] == pytest.approx(near)


def test_a_logarithmic_range_has_as_many_levels_at_either_end(assemble):
    space = assemble(
        {"backend": "onnxruntime", "prune.ratio": {"low": 0.01, "high": 0.64, "log": True}}
    )
    encoder = Encoder(space)
    column = _columns(encoder)["prune.ratio",]
    assert column.levels[0] == 0.0  # nothing is pruned
    ratios = np.array(column.levels[1:])
    np.testing.assert_allclose(ratios[1:] / ratios[:-1], ratios[1] / ratios[0])
    alike = column.similarity()
    assert alike[1, 2] == pytest.approx(alike[-3, -2])

    def level(ratio):
        recipe = space.complete({"backend": "onnxruntime", "prune.ratio": ratio})
        return _level(encoder, "prune.ratio", recipe)

    assert [level(ratio) for ratio in (0.01, 0.017, 0.08, 0.64)] == [1, 2, 5, 9]
