"""What is refused, and what is told, before anything is measured."""

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from hamerspace.config.flags import study_from_flags
from hamerspace.config.loading import load_study
from hamerspace.errors import ConfigError, DataError, MetricError
from hamerspace.tasks.prepare import _fingerprint, inspect_source, prepare_task
from hamerspace.tasks.sources import SourceSpec
from hamerspace.tasks.task import Task

ROWS = 40
X = np.random.default_rng(0).standard_normal((ROWS, 4)).astype(np.float32)
NUMBERS = X.sum(axis=1)
BINARY = (NUMBERS > 0).astype(np.int64)


def model(columns):
    """A linear model: x[?, 4] to y[?, columns]."""
    weight = np.random.default_rng(1).standard_normal((4, columns)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", columns])],
        [numpy_helper.from_array(weight, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@pytest.fixture
def prepare(tmp_path):
    def prepare(columns, labels, *, train=False, **quality):
        onnx.save(model(columns), tmp_path / "model.onnx")
        given = {"x": X} if labels is None else {"x": X, "labels": labels}
        arrays = given
        if train:
            parts = {"train": slice(0, 20), "search": slice(20, 30), "confirm": slice(30, 40)}
            arrays = {
                f"{split}/{name}": array[rows]
                for split, rows in parts.items()
                for name, array in given.items()
            }
        np.savez(tmp_path / "data.npz", **arrays)
        study = {
            "name": "linear",
            "task": {
                "source": {"path": "model.onnx"},
                "data": {"path": "data.npz"},
                "quality": quality,
            },
        }
        (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
        (tmp_path / "task").mkdir()
        prepare_task(load_study(tmp_path / "study.yaml"), tmp_path / "task")
        return Task.load(tmp_path / "task")

    return prepare


@pytest.mark.parametrize(
    ("columns", "labels", "quality", "words"),
    [
        (1, BINARY, {"metric": "accuracy"}, "'accuracy'.*for one score a row choose 'roc_auc'"),
        (1, BINARY + 1, {}, "'roc_auc'.*run from 1 to 2, but the model has 2.*labels - 1"),
        (3, BINARY + 2, {}, "run from 2 to 3, but the model has 3 classes, 0 to 2"),
        (3, NUMBERS, {}, r"'rmse'.*\[\?, 3\] and the labels .*give integer labels"),
        (1, None, {"metric": "cosine"}, "sees the sign only; choose 'fidelity_r2'"),
    ],
)
def test_a_metric_that_cannot_judge_is_refused_at_once(prepare, columns, labels, quality, words):
    with pytest.raises(MetricError, match=words):
        prepare(columns, labels, **quality)


def test_a_single_number_is_no_input(tmp_path):
    onnx.save(model(4), tmp_path / "model.onnx")
    np.savez(tmp_path / "data.npz", x=np.float32(3))
    loaded = study_from_flags(str(tmp_path / "model.onnx"), data=str(tmp_path / "data.npz"))
    (tmp_path / "source").mkdir()
    with pytest.raises(DataError, match="array 'x': is a single number"):
        inspect_source(loaded, tmp_path / "source")


def test_a_metric_that_needs_labels_is_refused_at_once(prepare):
    with pytest.raises(ConfigError, match=r"'rmse' needs labels.*'cosine' or 'fidelity_r2'"):
        prepare(1, None, metric="rmse")


def test_a_function_of_a_session_that_only_it_has_is_left_to_it(prepare):
    words = {"metric": "hamerspace_session:f", "direction": "maximize"}
    task = prepare(2, NUMBERS, **words, train=True)
    assert any("No loss fits" in note for note in task.splits.notes)


@pytest.mark.parametrize("labels", [NUMBERS, NUMBERS[:, None]])
def test_one_number_a_row_is_learnt_in_either_shape(prepare, labels):
    task = prepare(1, labels, train=True)
    assert task.metric.name == "rmse"
    assert task.loss == "mse"
    assert not any("No loss" in note for note in task.splits.notes)


def test_labels_that_no_loss_fits_are_told_not_denied(prepare):
    task = prepare(1, BINARY, metric="rmse", train=True)
    assert task.loss == "mse"
    assert not any("No loss fits" in note for note in task.splits.notes)


@pytest.mark.parametrize("labels", [BINARY, BINARY[:, None], BINARY.astype(np.float32)])
def test_one_score_a_row_learns_zeros_and_ones_by_cross_entropy(prepare, labels):
    task = prepare(1, labels, train=True)
    assert task.metric.name == "roc_auc"
    assert task.loss == "binary_cross_entropy"


def test_rows_without_a_class_are_left_out_with_a_note(prepare):
    labels = BINARY.copy()
    labels[::4] = 255
    task = prepare(3, labels)
    assert sum(task.splits.rows.values()) == 30
    assert any("10 of 40 labels are 255" in note for note in task.splits.notes)


def test_text_is_told_to_be_numbered(prepare):
    with pytest.raises(
        DataError, match="array 'labels': holds text; give each class by its number"
    ):
        prepare(3, np.array(["cat", "dog"])[BINARY])


@pytest.mark.parametrize(
    ("labels", "quality"),
    [(BINARY, {"loss": "mse"}), (BINARY, {"metric": "fidelity_r2"}), (None, {})],
)
def test_what_the_user_decided_or_lacks_needs_no_note(prepare, labels, quality):
    task = prepare(1, labels, train=True, **quality)
    assert not any("No loss" in note for note in task.splits.notes)
    assert task.loss == quality.get("loss", "none")


def test_a_loss_without_labels_is_refused(prepare):
    with pytest.raises(ConfigError, match=r"task\.quality\.loss: 'mse' learns from labels"):
        prepare(1, None, train=True, loss="mse")


@pytest.mark.parametrize(
    ("builder", "trusted", "same"),
    [("task:build", False, False), (None, True, False), (None, False, True)],
)
def test_code_that_the_users_code_imports_decides_the_source(tmp_path, builder, trusted, same):
    (tmp_path / "source").mkdir()
    (tmp_path / "task.py").write_text("import net")
    (tmp_path / "net.py").write_text("one")
    spec = SourceSpec(None, None, builder, None, tmp_path, trust_pickle=trusted)
    before = _fingerprint(tmp_path / "source", spec)
    (tmp_path / "net.py").write_text("two")
    assert (_fingerprint(tmp_path / "source", spec) == before) == same
