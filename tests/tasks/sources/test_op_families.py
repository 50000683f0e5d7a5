"""Operator families from names of functions and from ONNX nodes."""

import pytest

from hamerspace.tasks.sources.op_families import onnx_families, torch_families


@pytest.mark.parametrize(
    ("names", "families"),
    [
        ({"conv2d", "native_batch_norm", "relu"}, ("conv", "norm")),
        ({"_convolution", "addmm"}, ("conv", "linear")),
        ({"_transformer_encoder_layer_fwd"}, ("attention",)),
        ({"scaled_dot_product_attention"}, ("attention",)),
        ({"softmax", "bmm"}, ("attention",)),
        ({"softmax", "linear"}, ("linear",)),
        ({"log_softmax", "matmul"}, ()),
        ({"gru", "embedding"}, ("embedding", "rnn")),
    ],
)
def test_torch_names(names, families):
    assert torch_families(names) == families


def test_an_onnx_product_of_activations_beside_a_softmax_is_attention():
    nodes = [("MatMul", ("x", "w")), ("MatMul", ("q", "k")), ("Softmax", ("s",))]
    assert onnx_families(nodes, {"w"}) == ("attention", "linear")
    assert onnx_families(nodes[:2], {"w"}) == ("linear",)


def test_onnx_gather_from_weights_is_an_embedding():
    assert onnx_families([("Gather", ("table", "ids"))], {"table"}) == ("embedding",)
    assert onnx_families([("Gather", ("shape", "ids"))], {"table"}) == ()
