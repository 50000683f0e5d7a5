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

_KERAS = {
    "conv": ("Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
    "linear": ("Dense", "EinsumDense", "MultiHeadAttention", "GroupedQueryAttention"),
    "attention": ("Attention", "AdditiveAttention", "MultiHeadAttention", "GroupedQueryAttention"),
    "rnn": ("LSTM", "GRU", "SimpleRNN", "LSTMCell", "GRUCell", "SimpleRNNCell"),
    "norm": ("Normalization",),
    "embedding": ("Embedding",),
}
"""By the ends of the names, which ``DepthwiseConv2D`` and ``LayerNormalization`` share."""

_TENSORFLOW = {
    "conv": {"Conv2D", "DepthwiseConv2dNative", "Conv2DBackpropInput", "Conv3D"},
    "linear": {"MatMul"},
    "rnn": {"TensorListReserve", "CudnnRNNV3"},
    "norm": {"FusedBatchNormV3", "FusedBatchNorm", "Rsqrt"},
    "embedding": {"ResourceGather"},
}

_TFLITE = {
    "conv": {"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "CONV_3D"},
    "linear": {"FULLY_CONNECTED"},
    "rnn": {
        "LSTM",
        "RNN",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        "BIDIRECTIONAL_SEQUENCE_LSTM",
        "UNIDIRECTIONAL_SEQUENCE_RNN",
        "BIDIRECTIONAL_SEQUENCE_RNN",
        "WHILE",
    },
    "norm": {"RSQRT", "L2_NORMALIZATION"},
    "embedding": {"EMBEDDING_LOOKUP"},
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


def keras_families(classes: Iterable[str]) -> tuple[str, ...]:
    """Families of the class names of Keras layers, such as ``DepthwiseConv2D``."""
    names = set(classes)
    return tuple(sorted(f for f, ends in _KERAS.items() if any(n.endswith(ends) for n in names)))


def tensorflow_families(operators: Iterable[str]) -> tuple[str, ...]:
    """Families of the operator types of a TensorFlow graph; a recurrence is a loop over a list."""
    names = set(operators)
    found = {family for family, types in _TENSORFLOW.items() if types & names}
    products = {"BatchMatMulV2", "BatchMatMul", "Einsum"} & names
    if products:
        found.add("attention" if "Softmax" in names else "linear")
    return tuple(sorted(found))


def tflite_families(operators: Iterable[str]) -> tuple[str, ...]:
    """Families of the operators of a TFLite file; a recurrence is fused, or a loop."""
    names = set(operators)
    found = {family for family, types in _TFLITE.items() if types & names}
    if {"BATCH_MATMUL", "SOFTMAX"} <= names:
        found.add("attention")
    return tuple(sorted(found))
