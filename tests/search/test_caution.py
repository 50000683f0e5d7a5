"""What is told of the judging before any trial."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hamerspace.build.store import Store
from hamerspace.config.flags import study_from_flags
from hamerspace.measure.quality import Judge
from hamerspace.search.caution import chance_warnings, smallest_of_hits, too_few_rows
from hamerspace.search.conclude import BEST_CONFIDENCE
from hamerspace.search.facts import facts_of
from hamerspace.search.prepared import Prepared
from hamerspace.search.run_folder import RunFolder
from hamerspace.search.workbench import Workbench
from hamerspace.tasks.metrics import METRICS
from hamerspace.tasks.metrics.resolve import FunctionMetric

RNG = np.random.default_rng(0)
CLASSES = RNG.integers(0, 10, 400)
RARE = (np.arange(400) < 12).astype(int)
NUMBERS = RNG.standard_normal(400)
NOISE = RNG.standard_normal((400, 10))


def warnings_of(name, outputs, labels):
    metric = METRICS.load(name)
    return chance_warnings(metric, metric.score(outputs, labels), labels)


@pytest.mark.parametrize(
    ("name", "outputs", "labels"),
    [
        ("accuracy", NOISE, CLASSES),
        ("accuracy", np.eye(2)[np.zeros(400, int)], RARE),
        ("roc_auc", NOISE[:, 0], RARE),
        ("average_precision", NOISE, CLASSES[:, None] <= np.arange(10)),
        ("r2", NUMBERS.mean() + 0 * NUMBERS, NUMBERS),
        ("rmse", NOISE[:, 0] * 9, NUMBERS),
        ("mae", NOISE[:, 0] * 9, NUMBERS),
    ],
)
def test_a_source_no_better_than_chance_is_told(name, outputs, labels):
    (text,) = warnings_of(name, outputs, labels)
    assert text.startswith(f"THE SOURCE MODEL IS NO BETTER THAN CHANCE: its {name} is ")


@pytest.mark.parametrize(
    ("name", "outputs", "labels"),
    [
        ("accuracy", NOISE + 2 * np.eye(10)[CLASSES], CLASSES),
        ("roc_auc", NOISE[:, 0] + RARE, RARE),
        ("r2", 0.7 * NUMBERS, NUMBERS),
        ("rmse", NUMBERS + 0.5 * NOISE[:, 0], NUMBERS),
    ],
)
def test_a_better_one_is_left_in_peace(name, outputs, labels):
    assert warnings_of(name, outputs, labels) == []


def test_a_function_s_own_scale_is_no_chance():
    likelihood = FunctionMetric(
        "task:log_likelihood", lambda o, _: -np.square(o).mean(), "maximize"
    )
    assert chance_warnings(likelihood, -3.0, CLASSES) == []


def test_what_the_rows_can_show_is_what_a_candidate_equal_to_the_source_is_given():
    labels = CLASSES[:185]
    outputs = np.eye(10)[(labels + (np.arange(185) % 20 == 0)) % 10]
    metric = METRICS.load("accuracy")
    judge = Judge(metric, labels, outputs)
    shown = judge.judge(outputs, BEST_CONFIDENCE).drop.high
    assert shown == pytest.approx(smallest_of_hits(metric, 185))
    assert 2.5 < shown < 4.0
    assert smallest_of_hits(METRICS.load("rmse"), 185) is None
    text = too_few_rows(185, 1.0, shown)
    assert "on 185 rows to confirm on, no candidate can be shown to lose at most 1 points" in text
    needed = int(text.partition("Give about ")[2].split()[0])
    assert smallest_of_hits(metric, needed) < 1.0 < smallest_of_hits(metric, needed - 10)


@pytest.fixture
def facts(tmp_path):
    """``facts(scale, labels=None)`` of a linear model of ten columns, times ``scale``."""

    def facts(scale, labels=None):
        weight = np.random.default_rng(1).standard_normal((16, 10)) * scale
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], ["y"])],
            "linear",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 16])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 10])],
            [numpy_helper.from_array(weight.astype(np.float32), "w")],
        )
        opsets = [helper.make_opsetid("", 18)]
        onnx.save(
            helper.make_model(graph, opset_imports=opsets, ir_version=10), tmp_path / "m.onnx"
        )
        inputs = RNG.standard_normal((400, 16)).astype(np.float32)
        given = {} if labels is None else {"labels": labels}
        np.savez(tmp_path / "data.npz", x=inputs, **given)
        loaded = study_from_flags(
            str(tmp_path / "m.onnx"),
            data=str(tmp_path / "data.npz"),
            max_accuracy_drop=1.0,
            space="quick",
        )
        store, folder = Store(tmp_path / "store"), RunFolder(tmp_path / "run")
        with (
            Prepared(loaded, store, ("onnxruntime",)) as prepared,
            Workbench(prepared, folder) as bench,
        ):
            return facts_of(bench)

    return facts


def test_what_is_taken_for_scores_of_classes_is_said(facts):
    found = facts(1.0)
    assert found["metric"]["name"] == "agreement"
    assert any("is taken for scores of classes" in note for note in found["notes"])
    assert any("on 160 rows" in warning for warning in found["warnings"])


def test_columns_of_several_scales_are_no_scores_of_classes(facts):
    found = facts(np.logspace(-2, 2, 10))
    assert found["metric"]["name"] == "fidelity_r2"
    assert any("their columns differ in scale" in note for note in found["notes"])
    assert any("on 160 rows" in warning for warning in found["warnings"])


def test_labels_in_another_order_are_warned_of_before_any_trial(facts):
    found = facts(1.0, CLASSES)
    assert any("NO BETTER THAN CHANCE: its accuracy is" in text for text in found["warnings"])
