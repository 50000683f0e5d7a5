"""Which families of operators a model is made of; they decide what can be done to it."""

from collections.abc import Iterable, Mapping, Sequence

_TORCH = {
    "conv": ("conv",),
    "linear": ("linear", "addmm", "bilinear"),
    "attention": ("scaled_dot_product", "multi_head_attention", "transformer_encoder_layer"),
    "rnn": ("lstm", "gru", "rnn_tanh", "rnn_relu"),
    "norm": ("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm"),
    "embedding": ("embedding",),
}

# Those below by the ends of the names, which ``DepthwiseConv2D`` and ``LayerNormalization`` share.
_ONNX = {
    "conv": ("Conv", "ConvTranspose", "ConvInteger"),
    "linear": ("Gemm", "MatMulInteger", "QLinearMatMul", "MatMulNBits", "FusedMatMul"),
    "attention": ("Attention",),
    "rnn": ("LSTM", "GRU", "RNN"),
    "norm": tuple(
        f"{kind}Normalization" for kind in ("Batch", "Layer", "Instance", "Group", "RMS")
    ),
}
_KERAS = {
    "conv": ("Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
    "linear": ("Dense", "MultiHeadAttention", "GroupedQueryAttention"),
    "attention": ("Attention",),
    "rnn": ("LSTM", "GRU", "SimpleRNN", "LSTMCell", "GRUCell", "SimpleRNNCell"),
    "norm": ("Normalization",),
    "embedding": ("Embedding",),
}
_TENSORFLOW = {
    "conv": ("Conv2D", "DepthwiseConv2dNative", "Conv2DBackpropInput", "Conv3D"),
    "rnn": ("TensorListReserve", "CudnnRNNV3"),
    "norm": ("FusedBatchNormV3", "FusedBatchNorm", "Rsqrt"),
    "embedding": ("ResourceGather",),
}
_TFLITE = {
    "conv": ("CONV_2D", "TRANSPOSE_CONV", "CONV_3D"),
    "linear": ("FULLY_CONNECTED",),
    "rnn": ("LSTM", "RNN", "WHILE"),
    "norm": ("RSQRT", "L2_NORMALIZATION"),
    "embedding": ("EMBEDDING_LOOKUP",),
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


def onnx_families(
    nodes: Sequence[tuple[str, tuple[str, ...]]], constants: set[str]
) -> tuple[str, ...]:
    """Families of ONNX nodes.

    Args:
        nodes: Operator type and input names of each node.
        constants: Names of the initializers and of the outputs of Constant nodes. A MatMul with
            one of them is a linear layer; of two activations beside a Softmax, attention; a
            Gather from one is an embedding.
    """
    names = {op_type for op_type, _ in nodes}
    found = _families(names, _ONNX)
    weighted = [
        not constants.isdisjoint(inputs) for op_type, inputs in nodes if op_type == "MatMul"
    ]
    if any(weighted):
        found.add("linear")
    if "Softmax" in names and not all(weighted):
        found.add("attention")
    if any(op_type == "Gather" and not constants.isdisjoint(read[:1]) for op_type, read in nodes):
        found.add("embedding")
    return tuple(sorted(found))


def keras_families(classes: Iterable[str]) -> tuple[str, ...]:
    """Families of the class names of Keras layers, such as ``DepthwiseConv2D``."""
    return tuple(sorted(_families(set(classes), _KERAS)))


def tensorflow_families(operators: Iterable[str]) -> tuple[str, ...]:
    """Families of the operator types of a TensorFlow graph; a recurrence is a loop over a list."""
    names = set(operators)
    found = _families(names, _TENSORFLOW)
    products = bool({"BatchMatMulV2", "BatchMatMul", "Einsum"} & names)
    if products and "Softmax" in names:
        found.add("attention")
    if "MatMul" in names or (products and "Softmax" not in names):
        found.add("linear")
    return tuple(sorted(found))


def tflite_families(operators: Iterable[str]) -> tuple[str, ...]:
    """Families of the operators of a TFLite file; a recurrence is fused, or a loop."""
    names = set(operators)
    found = _families(names, _TFLITE)
    if {"BATCH_MATMUL", "SOFTMAX"} <= names:
        found.add("attention")
    return tuple(sorted(found))


def _families(names: set[str], table: Mapping[str, tuple[str, ...]]) -> set[str]:
    return {family for family, ends in table.items() if any(n.endswith(ends) for n in names)}
