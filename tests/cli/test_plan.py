"""A plan tells what a search would begin with, and builds nothing."""

import json
import platform

import numpy as np
import onnx.parser
import pytest


@pytest.fixture
def study(write_study, tmp_path):
    return write_study(tmp_path / "study", constraints={"max_accuracy_drop": 0.05})


def test_first_recipes_are_ranked_and_nothing_is_built(call, study, tmp_path, monkeypatch):
    from hamerspace.build.builder import Builder

    def build(*_):
        pytest.fail("something was built")

    monkeypatch.setattr(Builder, "build", build)
    ended = call("plan", study, "--max-latency-ms", 5)
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    first = [line for line in lines if line.lstrip()[:1].isdigit()]
    assert "onnxruntime fp32 (uncompressed)" in first[0]
    assert "x1.00  x1.00" in first[0].replace("   ", "  ")  # it is what the source runs on
    assert "ONNX Runtime dynamic int8 default" in "".join(first)
    (static,) = (line for line in first if "onnxruntime static_int8" in line)
    assert "quality drop 0.1 points" in static
    assert "Only measuring can tell of the limits max_latency_ms." in ended.out
    assert list((tmp_path / "here").iterdir()) == []


def test_json_has_the_estimates_and_the_masks(call, onnx_task, tmp_path):
    ended = call(
        "plan", onnx_task / "model.onnx", "--space", "cpu", "--max-size-mb", 1e-6, "--json"
    )
    document = json.loads(ended.out)
    assert document["source"]["parameter_count"] > 0
    assert document["space"]["name"] == "cpu"
    assert document["first"][0]["origin"] == "baseline"
    assert all("max_size_mb" in entry["misses"] for entry in document["first"])
    assert any(entry["parameter"] == "recover.method" for entry in document["masked"])
    assert any("THERE ARE NO DATA" in text for text in document["warnings"])


def test_only_what_the_space_lists_is_told_to_be_left_out(call, study):
    document = json.loads(call("plan", study, "--json").out)
    assert {mask["parameter"] for mask in document["masked"]} <= {
        "backend",
        "onnxruntime.quantization",
        "openvino.quantization",
    }


@pytest.mark.parametrize("columns", [40, 60, 160])
def test_it_fits_the_terminal(call, study, columns):
    ended = call("plan", study, "--max-size-mb", "0.001", columns=columns)
    assert max(map(len, ended.out.splitlines())) <= columns
    assert "x1.00" in ended.out
    assert "onnxruntime" in ended.out
    assert "expected to miss" in ended.out


def test_an_expected_loss_has_no_more_digits_than_anybody_reads(call, study, own_history):
    from hamerspace.search.history.file import HistoryFile
    from tests.search.history.conftest import entry, tried

    setting = {"machine": platform.machine(), "format": "onnx", "parameters": 3000}
    HistoryFile(own_history).add(entry(tried(drop=-1 / 3), **setting))
    for columns in (50, 160):
        shown = call("plan", study, columns=columns).out
        assert "-0.33" in shown
        assert "-0.333" not in shown


def test_bad_input_is_refused(refused, onnx_task):
    assert "no such file" in refused("plan", "missing.onnx")
    assert "unknown backend" in refused("plan", onnx_task / "model.onnx", "--backends", "onnxrt")


def test_what_an_earlier_study_found_is_told_with_its_name(call, study, own_history):
    from hamerspace.search.history.file import HistoryFile
    from tests.search.history.conftest import entry

    found = entry(name="fashion", machine=platform.machine(), format="onnx", parameters=3000)
    HistoryFile(own_history).add(found)
    ended = call("plan", study)
    (line,) = (line for line in ended.out.splitlines() if "weights_int8" in line)
    assert "openvino weights_int8 (found by study fashion)" in line
    assert "x0.50" in line
    document = json.loads(call("plan", study, "--json").out)
    (first,) = (entry for entry in document["first"] if entry["origin"] == "history")
    assert first["learned_from"] == "fashion"

    ended = call("plan", study, "--no-history")
    assert "openvino weights_int8 (known to be good)" in ended.out


def test_a_damaged_history_is_told_and_the_plan_is_there(call, study, own_history):
    own_history.write_text('{"version": 1, "studies": 3}')
    ended = call("plan", study)
    assert ended.code == 0
    assert "openvino weights_int8 (known to be good)" in ended.out
    assert not own_history.exists()
    assert own_history.with_name(f"{own_history.name}.damaged-1").is_file()


def test_what_is_no_history_is_refused_and_stays(refused, study, own_history):
    own_history.write_text("my notes")
    assert f"{own_history} is no history of Hamerspace" in refused("plan", study)
    assert own_history.read_text() == "my notes"


def test_a_goal_and_a_hardware_choose_what_is_searched(call, onnx_task):
    model = onnx_task / "model.onnx"
    document = json.loads(call("plan", model, "--target-hardware", "edge", "--json").out)
    assert document["space"]["name"] == "edge"
    document = json.loads(call("plan", model, "--goal", "quantize", "--space", "cpu", "--json").out)
    tried = {name for entry in document["first"] for name in entry["parameters"]}
    assert "onnxruntime.quantization" in tried
    assert not any(name.startswith(("prune.", "sparsify.", "student.")) for name in tried)


def test_what_is_judged_is_named_as_for_a_search(call, refused, onnx_task):
    arguments = (onnx_task / "model.onnx", "--data", onnx_task / "data.npz")
    assert call("plan", *arguments, "--metric", "roc_auc", "--output-name", "logits").code == 0
    assert "unknown metric 'acuracy'" in refused("plan", *arguments, "--metric", "acuracy")
    for command in ("plan", "search", "optimize"):
        said = refused(command, *arguments, "--output-name", "logit")
        assert "did you mean 'logits'" in said


def test_outputs_that_are_judged_together_are_all_named(call, tmp_path):
    text = """<ir_version: 8, opset_import: ["" : 17]>
        heads (float[n, 6] x) => (float[n, 3, 2] boxes, float[n, 6] scores)
        <int64[3] shape = {-1, 3, 2}> { scores = Softmax(x) boxes = Reshape(x, shape) }"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "m.onnx")
    judged = json.loads(call("plan", tmp_path / "m.onnx", "--json").out)["judged_by"]
    assert judged == "fidelity_r2_all of outputs 'boxes', 'scores'"


def test_too_few_rows_are_told_before_the_search(call, onnx_task, tmp_path):
    arguments = ("plan", onnx_task / "model.onnx", "--data", onnx_task / "data.npz", "--json")
    told = json.loads(call(*arguments, "--max-accuracy-drop", 0.5).out)["warnings"]
    assert any("TOO FEW ROWS: on 160 rows" in text for text in told)
    document = json.loads(call(*arguments, "--max-accuracy-drop", 5).out)
    assert not any("TOO FEW ROWS" in text for text in document["warnings"])
    assert document["judged_by"] == "accuracy of output 'logits'"


def test_rows_are_not_called_too_few_for_a_metric_that_the_outputs_have_yet_to_choose(
    call, onnx_task, tmp_path
):
    with np.load(onnx_task / "data.npz") as data:
        np.savez(tmp_path / "rows.npz", image=data["image"])
    arguments = ("plan", onnx_task / "model.onnx", "--data", tmp_path / "rows.npz", "--json")
    warnings = json.loads(call(*arguments, "--max-accuracy-drop", 0.5).out)["warnings"]
    assert not any("TOO FEW ROWS" in text for text in warnings)
    told = call(*arguments, "--max-accuracy-drop", 0.5, "--metric", "agreement").out
    warnings = json.loads(told)["warnings"]
    assert any("TOO FEW ROWS" in text for text in warnings)
