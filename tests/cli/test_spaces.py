"""The spaces explained, on wide and on narrow terminals."""

import json

import pytest


@pytest.mark.parametrize("columns", [40, 60, 100, 120, 160])
def test_names_and_values_are_whole_at_any_width(call, columns):
    ended = call("spaces", "quick", columns=columns)
    assert ended.code == 0
    for word in ("distill.temperature", "onnxruntime.optimization_level", "static_int8"):
        assert word in ended.out
    assert "…" not in ended.out
    assert max(map(len, ended.out.splitlines())) <= columns


def test_for_a_model_it_tells_what_is_left_out(call, onnx_task):
    model = ("--model", onnx_task / "model.onnx")
    ended = call("spaces", "quick", *model)
    assert "distinct recipes for this model" in ended.out
    assert "left out: student.width other than 1.0: " in ended.out
    document = json.loads(call("spaces", "quick", *model, "--json").out)
    assert document["spaces"][0]["recipes"] > 1


def test_auto_needs_a_model(refused):
    assert "give --model" in refused("spaces", "auto")
