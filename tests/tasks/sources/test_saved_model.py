"""SavedModels as source models."""

import keras
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from hamerspace.errors import SourceError
from hamerspace.tasks.sources import SourceSpec
from hamerspace.tasks.sources._tensorflow_operators import reaching_out
from tests import keras_models as km


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    model = km.conv_net()
    model.export(folder / "net", verbose=False)
    return model, folder / "net"


class TestSavedModelSource(km.ConvNetConformance):
    name = "saved_model"

    @pytest.fixture(scope="class")
    def given(self, conv_net, tmp_path_factory):
        path = tmp_path_factory.mktemp("given") / "net"
        conv_net.export(path, verbose=False)
        return SourceSpec(None, path, None, None, path.parent), km.IMAGES


def test_what_inspection_finds(exported, tmp_path):
    model, path = exported
    _, info = km.opened(path, tmp_path / "source")
    assert [str(t) for t in info.inputs] == ["image: float32[?, 8, 8, 3]"]
    assert [t.shape for t in info.outputs] == [(None, 10), (None, 1)]
    assert info.op_families == ("conv", "linear", "norm")
    assert info.parameter_count >= model.count_params()


def test_a_damaged_or_partial_folder_is_refused(exported, tmp_path):
    content = (exported[1] / "saved_model.pb").read_bytes()
    path = tmp_path / "cut"
    path.mkdir()
    (path / "saved_model.pb").write_bytes(content)
    with pytest.raises(SourceError, match="variables"):
        km.opened(path, tmp_path / "a")
    (path / "variables").mkdir()
    (path / "saved_model.pb").write_bytes(content[: len(content) // 2])
    with pytest.raises(SourceError, match="damaged or truncated"):
        km.opened(path, tmp_path / "b")
    (path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(SourceError, match="is empty"):
        km.opened(path, tmp_path / "c")


def _saved(path, body, table=None):
    """A SavedModel whose signature is ``body(x, module)``."""
    module = tf.Module()
    module.scale, module.table = tf.Variable(2.0), table
    signature = [tf.TensorSpec([None, 2], tf.float32, name="x")]
    module.call = tf.function(lambda x: {"y": body(x, module)}, input_signature=signature)
    tf.saved_model.save(module, path, signatures=module.call)
    return path


def _prints(x, folder):
    tf.print("boo", output_stream=f"file://{folder}/written")
    return x + 1.0


REACHING = {
    "WriteFile": lambda x, f: (tf.io.write_file(f"{f}/written", "boo"), x)[1],
    "PrintV2": _prints,
    "SaveV2": lambda x, f: (tf.raw_ops.SaveV2(
        prefix=f"{f}/written", tensor_names=["x"], shape_and_slices=[""], tensors=[x]), x)[1],
    "ReadFile": lambda x, f: x + tf.strings.to_number(tf.io.read_file(f"{f}/here")),
    "RestoreV2": lambda x, f: x + tf.raw_ops.RestoreV2(
        prefix=f"{f}/here", tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32])[0],
    "MatchingFiles": lambda x, f: x + tf.cast(tf.size(tf.io.matching_files(f"{f}/*")), tf.float32),
    "EagerPyFunc": lambda x, f: tf.reshape(tf.py_function(lambda y: y, [x], tf.float32), [-1, 2]),
    "DebugIdentity": lambda x, f: tf.raw_ops.DebugIdentity(
        input=x, debug_urls=[f"file://{f}/written"]),
}  # fmt: skip


@pytest.mark.parametrize("operator", REACHING)
def test_a_graph_that_does_more_than_compute_is_refused(operator, tmp_path):
    path = _saved(tmp_path / "net", lambda x, _: REACHING[operator](x, tmp_path))
    with pytest.raises(SourceError, match=rf": {operator} can reach .*--trust-pickle"):
        km.opened(path, tmp_path / "source")
    assert not list(tmp_path.glob("written*"))


def test_what_is_called_saving_is_looked_at_where_it_is_run_too(tmp_path):
    path = _saved(tmp_path / "net", lambda x, _: REACHING["WriteFile"](x, tmp_path))
    message = SavedModel()
    message.ParseFromString((path / "saved_model.pb").read_bytes())
    graph = message.meta_graphs[0]
    output = graph.signature_def["serving_default"].outputs["y"].name
    for part in ("save_tensor_name", "restore_op_name"):
        setattr(graph.saver_def, part, output)
        (path / "saved_model.pb").write_bytes(message.SerializeToString())
        with pytest.raises(SourceError, match=r"WriteFile.*--trust-pickle"):
            km.opened(path, tmp_path / part)
    assert not (tmp_path / "written").exists()


def _loop(x, module):
    return tf.while_loop(lambda i, _: i < 3, lambda i, y: (i + 1, y * module.scale), [0, x])[1]


def _says(x, module):
    tf.print("sum", tf.reduce_sum(x))
    return x * module.scale


ORDINARY = {
    "a loop": _loop,
    "a condition": lambda x, m: tf.cond(tf.reduce_sum(x) > 0, lambda: x * m.scale, lambda: x),
    "a table": lambda x, m: x + tf.cast(m.table.lookup(tf.cast(x, tf.int64)), tf.float32),
    "random numbers": lambda x, _: x + 0.0 * tf.random.normal(tf.shape(x)),
    "a word on the terminal": _says,
    "a check": lambda x, _: tf.debugging.assert_all_finite(x, "x"),
}


@pytest.mark.parametrize("body", ORDINARY.values(), ids=ORDINARY)
def test_ordinary_graphs_are_taken(body, tmp_path):
    keys = tf.lookup.KeyValueTensorInitializer(tf.range(2, dtype=tf.int64), tf.range(2), tf.int64)
    table = tf.lookup.StaticHashTable(keys, 0)
    _, info = km.opened(_saved(tmp_path / "net", body, table), tmp_path / "source")
    assert [spec.name for spec in info.outputs] == ["y"]


def test_operators_of_older_jax2tf_and_of_loops_only_compute():
    graph = MetaGraphDef()
    for operator in ("XlaDot", "XlaGather", "XlaSort", "TensorArraySplitV3", "GuaranteeConst"):
        graph.graph_def.node.add(name=operator, op=operator)
    assert reaching_out(graph) == []


def test_a_vocabulary_of_the_model_s_own_is_taken_and_other_files_are_not(tmp_path):
    (tmp_path / "words.txt").write_text("1\n2\n")
    words = tf.lookup.TextFileInitializer(
        str(tmp_path / "words.txt"),
        *(tf.string, tf.lookup.TextFileIndex.WHOLE_LINE),
        *(tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER),
    )
    table = tf.lookup.StaticHashTable(words, -1)
    path = _saved(
        tmp_path / "net",
        lambda x, m: x + tf.cast(m.table.lookup(tf.as_string(tf.cast(x, tf.int32))), tf.float32),
        table,
    )
    km.opened(path, tmp_path / "source")
    message = SavedModel()
    message.ParseFromString((path / "saved_model.pb").read_bytes())
    graph = message.meta_graphs[0]
    graph.asset_file_def[0].filename = "../../words.txt"
    assert reaching_out(graph) == ["InitializeTableFromTextFileV2"]
    graph.asset_file_def[0].filename = "words.txt"
    assert reaching_out(graph) == []
    for node in graph.object_graph_def.nodes:
        if node.HasField("asset"):
            node.constant.operation = "elsewhere"
    assert reaching_out(graph) == ["InitializeTableFromTextFileV2"]


def test_recurrent_models_and_lookups_of_keras_are_taken(tmp_path):
    km.lstm().export(tmp_path / "lstm", verbose=False)
    km.opened(tmp_path / "lstm", tmp_path / "a")
    layers = [keras.layers.IntegerLookup(vocabulary=[3, 5]), keras.layers.Embedding(4, 2)]
    model = keras.Sequential([keras.Input((3,), dtype="int64", name="ids"), *layers])
    model.export(tmp_path / "lookup", verbose=False)
    _, info = km.opened(tmp_path / "lookup", tmp_path / "b")
    assert [spec.name for spec in info.inputs] == ["ids"]
