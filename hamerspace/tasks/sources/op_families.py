"""Which families of operators a model is made of; they decide what can be done to it."""

from collections.abc import Iterable

_TORCH = {
    "conv": ("conv",),
    "linear": ("linear", "addmm", "bilinear"),
    "attention": ("scaled_dot_product", "multi_head_attention", "transformer_encoder_layer"),
    "rnn": ("lstm", "gru", "rnn_tanh", "rnn_relu"),
    "norm": ("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm"),
    "embedding": ("embedding",),
}

_ONNX = {
    "conv": {"Conv", "ConvTranspose", "ConvInteger", "QLinearConv", "FusedConv"},
    "linear": {"Gemm", "MatMulInteger", "QLinearMatMul", "MatMulNBits", "FusedMatMul"},
    "attention": {"Attention", "MultiHeadAttention", "GroupQueryAttention"},
    "rnn": {"LSTM", "GRU", "RNN"},
    "norm": {
        "BatchNormalization",
        "LayerNormalization",
        "SimplifiedLayerNormalization",
        "SkipLayerNormalization",
        "InstanceNormalization",
        "GroupNormalization",
        "RMSNormalization",
    },
}


def torch_families(functions: Iterable[str]) -> tuple[str, ...]:
    """Families of torch function or ATen operator names, such as ``conv2d`` or ``addmm``.

    A softmax beside a product of two matrices counts as attention written out.
    """
    names = {name.strip("_") for name in functions}
    found = {
        family
        for family, parts in _TORCH.items()
        if any(name.removeprefix("native_").startswith(parts) for name in names)
    }
    softmax = any(name.endswith("softmax") and "log" not in name for name in names)
    if softmax and names & {"matmul", "bmm", "baddbmm", "einsum"}:
        found.add("attention")
    return tuple(sorted(found))


def onnx_families(nodes: Iterable[tuple[str, tuple[str, ...]]], constants: set[str]) -> set[str]:
    """Families of ONNX nodes.

    Args:
        nodes: Operator type and input names of each node.
        constants: Names of the initializers and of the outputs of Constant nodes. A MatMul with
            one of them is a linear layer; of two activations beside a Softmax, attention; a
            Gather from one is an embedding.
    """
    found: set[str] = set()
    softmax = product = False
    for op_type, inputs in nodes:
        found.update(family for family, types in _ONNX.items() if op_type in types)
        softmax |= op_type == "Softmax"
        if op_type == "MatMul":
            weighted = any(name in constants for name in inputs)
            found.update({"linear"} if weighted else ())
            product |= not weighted
        if op_type == "Gather" and inputs and inputs[0] in constants:
            found.add("embedding")
    if softmax and product:
        found.add("attention")
    return found
