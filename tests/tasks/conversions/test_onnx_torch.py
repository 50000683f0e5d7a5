"""ONNX models as PyTorch modules: the same values, trainable, prunable and exportable again."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from hamerspace.compress import TechniqueJob
from hamerspace.compress.pruning import TECHNIQUE as PRUNING
from hamerspace.errors import BuildError
from hamerspace.tasks.conversions import convert
from hamerspace.tasks.conversions.routes import NoRoute, find_route
from hamerspace.tasks.conversions.torch import OnnxToPytorch
from hamerspace.tasks.model import ModelArtifact, TensorSpec
from hamerspace.tasks.sources import SourceSpec, open_source
from hamerspace.tasks.torch_module import load_module
from hamerspace.testing.conversions import ConversionConformance
from tests import keras_models, onnx_models

RNG = np.random.default_rng(5)


class TestOnnxToPytorch(ConversionConformance):
    conversion = OnnxToPytorch

    @pytest.fixture(scope="class", params=["conv_net", "encoder"])
    def source(self, request, tmp_path_factory):
        return getattr(onnx_models, request.param)(tmp_path_factory.mktemp("source"))


def test_a_convolutional_net_has_layers(tmp_path):
    source = onnx_models.conv_net(tmp_path / "a")
    module = load_module(to_torch(source, tmp_path))
    kinds = [type(m) for m in module.inner.children()]
    assert kinds.count(nn.Conv2d) == kinds.count(nn.BatchNorm2d) == 2
    assert kinds[-1] is nn.Linear
    assert not module.inner.training


def test_a_transformer_has_layers(tmp_path):
    source = onnx_models.encoder(tmp_path / "a")
    module = load_module(to_torch(source, tmp_path))
    layers = [type(m) for m in module.inner.children()]
    assert nn.Embedding in layers
    assert layers.count(nn.LayerNorm) == 2
    linear = [m for m in module.inner.children() if isinstance(m, nn.Linear)]
    assert sum(m.bias is not None for m in linear) == 2


@pytest.mark.parametrize("name", ["conv_net", "attention", "lstm"])
def test_what_comes_from_keras_is_taken_and_exported_again(name, tmp_path):
    ids = {"ids": RNG.integers(0, 100, (4, 12)).astype(np.int32)}
    example = ids if name == "attention" else None
    keras, _ = keras_models.source(getattr(keras_models, name)(), tmp_path / "k", example=example)
    batch = example or {t.name: t.sample(4, RNG) for t in keras.inputs}
    source = convert(keras, "onnx", batch, folder(tmp_path, "onnx"))
    found = to_torch(source, tmp_path)
    again = convert(found, "onnx", batch, folder(tmp_path, "again"))
    more = {k: np.concatenate([v, v[:1]]) for k, v in batch.items()}
    agree(run(source, more), load_module(found).run(more))
    agree(run(source, more), run(again, more))


def test_weights_are_trained(tmp_path):
    module = load_module(to_torch(onnx_models.conv_net(tmp_path / "a"), tmp_path))
    loss = sum(t.square().sum() for t in module(torch.ones(2, 3, 16, 16)))
    loss.backward()
    assert all(p.grad is not None for p in module.parameters())


def test_pruning_finds_the_columns_of_a_channel_past_a_flatten_of_channels_last(tmp_path):
    net = keras_models.conv_net()
    kernel, bias = net.layers[4].get_weights()
    kernel[..., ::2], bias[::2] = 0, 0
    kernel[..., 1::2] *= 10  # a channel's score is also that of the columns that read it
    net.layers[4].set_weights([kernel, bias])
    keras, _ = keras_models.source(net, tmp_path / "k")
    batch = {"image": RNG.normal(size=(4, 8, 8, 3)).astype(np.float32)}
    source = convert(keras, "onnx", batch, folder(tmp_path, "onnx"))
    model = to_torch(source, tmp_path)
    module = load_module(model)
    heads = [m for m in module.inner.children() if isinstance(m, nn.Linear)]
    assert {m.in_features for m in heads} == {256}
    parameters = {"prune.ratio": 0.5, "prune.round_to": 1, "prune.importance": "local"}
    pruned = PRUNING.apply(
        TechniqueJob(model, model, parameters, None, folder(tmp_path, "pruned"), 0)
    )
    smaller = load_module(pruned)
    fewer = [m for m in smaller.inner.children() if isinstance(m, nn.Linear)]
    for before, after in zip(heads, fewer, strict=True):
        alive = before.weight.reshape(-1, 16, 16)[:, 1::2].flatten(1)
        torch.testing.assert_close(after.weight, alive)
    again = convert(pruned, "onnx", batch, folder(tmp_path, "again"))
    agree(smaller.run(batch), run(again, batch))


def test_operators_that_are_not_known_are_named(tmp_path):
    source = net(tmp_path, [("NonZero", ["x"], ["p"], {}), ("Cast", ["p"], ["y"], {"to": 1})])
    with pytest.raises(BuildError, match=r"no translation to PyTorch is known for.*NonZero"):
        to_torch(source, tmp_path)


@pytest.mark.parametrize(
    "nodes",
    [
        [("Slice", ["x", "one", "three", "one"], ["s"], {}),
         ("Transpose", ["s"], ["y"], {"perm": [0, 2, 1]})],
        [("Gather", ["x", "picks"], ["g"], {"axis": 1}), ("ReduceL2", ["g"], ["y"], {"axes": [1]})],
        [("Split", ["x", "halves"], ["a", "b"], {"axis": 2}),
         ("Concat", ["b", "a"], ["y"], {"axis": 2})],
        [("Shape", ["x"], ["s"], {}), ("Gather", ["s", "zero"], ["n"], {}),
         ("Concat", ["n", "minus"], ["t"], {"axis": 0}), ("Reshape", ["x", "t"], ["y"], {})],
        [("Clip", ["x", "low", "high"], ["c"], {}), ("HardSigmoid", ["c"], ["y"], {})],
        [("Pow", ["x", "two"], ["p"], {}), ("ReduceMean", ["p", "one"], ["m"], {}),
         ("Sqrt", ["m"], ["q"], {}), ("Div", ["x", "q"], ["y"], {})],
        [("Where", ["mask", "x", "low"], ["w"], {}), ("Softmax", ["w"], ["y"], {"axis": 1})],
        [("Pad", ["x", "pads"], ["y"], {})],
    ],
    ids=lambda nodes: nodes[0][0],
)  # fmt: skip
def test_functions(nodes, tmp_path):
    source = net(tmp_path, nodes)
    module = load_module(to_torch(source, tmp_path))
    batch = onnx_models.inputs(source, 3)
    agree(run(source, batch), module.run(batch))


@pytest.mark.parametrize("pads", [[0, 0, 1, 1], [1, 1, 0, 0]])
def test_uneven_padding(pads, tmp_path):
    weight = RNG.normal(size=(4, 2, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=pads, strides=[2, 2]),
        helper.make_node("MaxPool", ["c"], ["y"], kernel_shape=[2, 2], pads=pads),
    ]
    graph = helper.make_graph(
        nodes,
        "padded",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2, 9, 9])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4, None, None])],
        [numpy_helper.from_array(weight, "w")],
    )
    source = saved(graph, tmp_path, (None, 2, 9, 9))
    batch = onnx_models.inputs(source, 2)
    agree(run(source, batch), load_module(to_torch(source, tmp_path)).run(batch))


def test_quantised_models_and_those_with_branches_have_no_route(tmp_path):
    source = onnx_models.conv_net(tmp_path)
    spec = SourceSpec(None, source.file("model"), None, None, tmp_path)
    _, info = open_source(spec, None, folder(tmp_path, "source"))
    assert not isinstance(find_route("onnx", ("pytorch",), info), NoRoute)
    for fact, words in (("quantized", "quantised already"), ("has_subgraphs", "If, Loop")):
        details = {**info.details, fact: True}
        route = find_route("onnx", ("pytorch",), type(info)(**{**vars(info), "details": details}))
        assert isinstance(route, NoRoute)
        assert words in route.reason


def net(path, nodes):
    """x[?, 4, 6] to y, with constants by the names that the nodes use."""
    constants = {
        "one": np.array([1]), "three": np.array([3]), "zero": np.array([0]),
        "picks": np.array([[0, -1], [2, 1]]), "halves": np.array([2, 4]),
        "minus": np.array([-1, 3]), "low": np.array(-0.5, np.float32),
        "high": np.array(0.5, np.float32), "two": np.array(2.0, np.float32),
        "mask": RNG.random((4, 6)) > 0.5, "pads": np.array([0, 1, 0, 0, 2, 1]),
    }  # fmt: skip
    used = {name for _, inputs, _, _ in nodes for name in inputs}
    graph = helper.make_graph(
        [helper.make_node(op, i, o, **attributes) for op, i, o, attributes in nodes],
        "functions",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4, 6])],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(a, n) for n, a in constants.items() if n in used],
    )
    graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
    return saved(graph, path, (None, 4, 6))


def saved(graph, path, shape):
    opset = 17 if any(a.name == "axes" for n in graph.node for a in n.attribute) else 18
    opsets = [helper.make_opsetid("", opset)]
    path = folder(path, "saved")
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path / "model.onnx")
    specs = TensorSpec("x", "float32", shape), TensorSpec("y", "float32", (None,))
    return ModelArtifact(path, "onnx", specs[:1], specs[1:], {"model": "model.onnx"}).save()


def to_torch(source, path):
    batch = onnx_models.inputs(source, 2)
    for name, array in batch.items():
        batch[name] = array if array.dtype.kind == "f" else array % 50
    return convert(source, "pytorch", batch, folder(path, "torch"))


def run(artifact, batch):
    session = ort.InferenceSession(artifact.file("model"))
    names = [t.name for t in artifact.outputs]
    return dict(zip(names, session.run(names, batch), strict=True))


def folder(parent, name):
    (parent / name).mkdir(parents=True)
    return parent / name


def agree(wanted, found):
    assert list(wanted) == list(found)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["class", "self", "x²", 'x"""; import os; """', "x=print(1)"])
def test_a_name_that_python_would_not_take_is_none_in_its_code(name, tmp_path):
    x = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])
    weight = numpy_helper.from_array(RNG.normal(size=(4, 4)).astype(np.float32), f"{name}/w")
    nodes = [helper.make_node("MatMul", [name, f"{name}/w"], ["y"], name=name)]
    path = tmp_path / "model.onnx"
    opset = [helper.make_opsetid("", 18)]
    graph = helper.make_graph(nodes, "g", [x], [y], [weight])
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    source, _ = open_source(
        SourceSpec(None, path, None, None, tmp_path), None, folder(tmp_path, "source")
    )
    batch = {name: RNG.normal(size=(3, 4)).astype(np.float32)}
    agree(run(source, batch), load_module(to_torch(source, tmp_path)).run(batch))
