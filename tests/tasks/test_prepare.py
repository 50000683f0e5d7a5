"""What is refused, and what is told, before anything is measured."""

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from hamerspace.config.flags import study_from_flags
from hamerspace.config.loading import load_study
from hamerspace.errors import ConfigError, DataError, MetricError, SourceError
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


def prepared(tmp_path, arrays, nodes, outputs, weights=(), batch="n", width=4, **quality):
    """A task whose model computes ``nodes`` from x[batch, width]."""
    graph = helper.make_graph(
        [helper.make_node(*node[:3], **(node[3] if len(node) > 3 else {})) for node in nodes],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, width])],
        outputs,
        [numpy_helper.from_array(np.asarray(array), name) for name, array in dict(weights).items()],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), tmp_path / "net.onnx")
    np.savez(tmp_path / "data.npz", **arrays)
    study = {
        "name": "net",
        "task": {
            "source": {"path": "net.onnx"},
            "data": {"path": "data.npz"},
            "quality": quality,
            "batch_size": 1 if batch == "n" else batch,
        },
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study))
    (tmp_path / "task").mkdir()
    prepare_task(load_study(tmp_path / "study.yaml"), tmp_path / "task")
    return Task.load(tmp_path / "task")


def scores(name="y", rows="n", kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, [rows, 4])


@pytest.mark.parametrize("batch", ["n", 1, 4])
def test_constants_that_come_first_are_not_judged(tmp_path, batch):
    outputs = [helper.make_tensor_value_info("a", TensorProto.FLOAT, [1, 4]), scores(rows=batch)]
    nodes = [("Identity", ["anchors"], ["a"]), ("Relu", ["x"], ["y"])]
    anchors = np.ones((1, 4), np.float32)
    task = prepared(tmp_path, {"x": X}, nodes, outputs, {"anchors": anchors}, batch)
    assert task.output == "y"
    assert any("'y' is judged" in note and "'a' is the same" in note for note in task.splits.notes)


def test_a_map_is_left_out_of_every_candidate_and_said(tmp_path):
    kind = helper.make_map_type_proto(
        TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    )
    maps = helper.make_value_info("maps", helper.make_sequence_type_proto(kind))
    zipped = ("ZipMap", ["x"], ["maps"], {"domain": "ai.onnx.ml", "classlabels_int64s": range(4)})
    nodes = [zipped, ("Relu", ["x"], ["y"])]
    task = prepared(tmp_path, {"x": X}, nodes, [maps, scores()])
    assert [spec.name for spec in task.info.outputs] == ["y"]
    assert any("'maps', which is a sequence" in note for note in task.splits.notes)
    graph = onnx.load(task.source.file("model")).graph
    assert [node.op_type for node in graph.node] == ["Relu"]


def test_a_model_of_maps_alone_is_refused_with_a_remedy(tmp_path):
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    maps = helper.make_value_info("parts", kind)
    with pytest.raises(SourceError, match=r"no output of numbers: output 'parts'.*zipmap=False"):
        prepared(tmp_path, {"x": X}, [("SplitToSequence", ["x"], ["parts"])], [maps])


def test_noise_in_the_graph_is_refused_by_its_operator(tmp_path):
    nodes = [("RandomNormalLike", ["x"], ["z"]), ("Add", ["x", "z"], ["y"])]
    with pytest.raises(SourceError, match=r"two answers to one row.*RandomNormalLike"):
        prepared(tmp_path, {"x": X}, nodes, [scores()])


def test_dropout_that_is_left_on_is_refused(tmp_path):
    nodes = [("Dropout", ["x", "ratio", "on"], ["y"])]
    weights = {"ratio": np.float32(0.5), "on": np.bool_(True)}
    with pytest.raises(SourceError, match=r"two answers to one row.*Dropout.*model\.eval"):
        prepared(tmp_path, {"x": X}, nodes, [scores()], weights)


def test_a_selection_is_refused_with_what_to_judge_instead(tmp_path):
    found = helper.make_tensor_value_info("found", TensorProto.INT64, [2, "k"])
    nodes = [("Relu", ["x"], ["r"]), ("NonZero", ["r"], ["found"]), ("Neg", ["x"], ["y"])]
    with pytest.raises(ConfigError, match=r"'found' .*varies with the data.*name 'y'"):
        prepared(tmp_path, {"x": X}, nodes, [found, scores()], output="found")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_odd_inputs_are_taken_where_the_model_answers_with_numbers(tmp_path, value):
    odd = X.copy()
    odd[17, 2] = value
    with pytest.raises(DataError, match=r"array 'x' holds NaN or infinity in 1 rows.*'y' is NaN"):
        prepared(tmp_path, {"x": odd}, [("Sub", ["x", "x"], ["y"])], [scores()])
    (tmp_path / "finite").mkdir()
    nodes = [("IsNaN", ["x"], ["n"]), ("Where", ["n", "zero", "x"], ["w"]), ("Tanh", ["w"], ["y"])]
    task = prepared(tmp_path / "finite", {"x": odd}, nodes, [scores()], {"zero": np.float32(0)})
    assert any("holds NaN or infinity in 1 rows; the model ans" in n for n in task.splits.notes)


def test_plus_infinity_as_a_fill_is_no_diverged_weight(tmp_path):
    nodes = [("Min", ["x", "fill"], ["y"])]
    assert prepared(tmp_path, {"x": X}, nodes, [scores()], {"fill": np.float32(np.inf)})
    diverged = np.array([1, np.inf, 2, 3], np.float32)
    (tmp_path / "diverged").mkdir()
    with pytest.raises(SourceError, match="not finite: 'fill'"):
        prepared(tmp_path / "diverged", {"x": X}, nodes, [scores()], {"fill": diverged})


def test_big_endian_arrays_are_converted(tmp_path):
    arrays = {"x": X.astype(">f4"), "labels": BINARY.astype(">i8")}
    task = prepared(tmp_path, arrays, [("Relu", ["x"], ["y"])], [scores()])
    assert task.splits.arrays("search")["x"].dtype == np.dtype("=f4")
    assert [spec.dtype for spec in task.info.inputs] == ["float32"]
