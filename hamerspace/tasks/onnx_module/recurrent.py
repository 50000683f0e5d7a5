"""ONNX's recurrent operators as ``torch.nn.LSTM`` and ``torch.nn.GRU``."""

import operator
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from hamerspace.errors import BuildError
from hamerspace.tasks.onnx_module.translate import Translation, fill, handles

_KINDS: dict[str, Any] = {"LSTM": (nn.LSTM, (0, 2, 3, 1)), "GRU": (nn.GRU, (1, 0, 2))}
"""The class, and which of ONNX's gates is each of PyTorch's."""


@handles("LSTM", "GRU")
def _recurrent(t: Translation, node: Any) -> list[fx.Node]:
    kind, gates = _KINDS[node.op_type]
    _refuse_variants(t, node)
    hidden = t.attribute(node, "hidden_size", 0)
    weights, recurrences = t.constant(node, 1), t.constant(node, 2)
    assert weights is not None
    assert recurrences is not None
    directions = len(weights)
    biases = t.constant(node, 3)
    if biases is None:
        biases = np.zeros((directions, 2 * len(gates) * hidden), weights.dtype)
    layer = kind(weights.shape[2], hidden, bidirectional=directions == 2)
    for direction in range(directions):
        suffix = "l0_reverse" if direction else "l0"
        halves = np.split(biases[direction], 2)
        fill(
            layer,
            **{
                f"weight_ih_{suffix}": _reordered(weights[direction], gates),
                f"weight_hh_{suffix}": _reordered(recurrences[direction], gates),
                f"bias_ih_{suffix}": _reordered(halves[0], gates),
                f"bias_hh_{suffix}": _reordered(halves[1], gates),
            },
        )
    states = [t.tensor(node.input[i]) for i in (5, 6) if t.has(node, i)]
    inputs = [t.tensor(node.input[0])]
    if states:
        inputs.append(states[0] if node.op_type == "GRU" else tuple(states))  # type: ignore[arg-type]
    found = t.layer(node, layer, *inputs)
    sequence = t.call(split_directions, t.call(operator.getitem, found, 0), directions)
    last = t.call(operator.getitem, found, 1)
    if node.op_type == "GRU":
        return [sequence, last]
    return [sequence, *(t.call(operator.getitem, last, i) for i in range(2))]


def _refuse_variants(t: Translation, node: Any) -> None:
    plain = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"]}[node.op_type]
    functions = t.attribute(node, "activations", None)
    names = None if functions is None else [f.decode() for f in functions]
    wrong = [
        names is not None and names not in (plain, plain * 2),
        t.attribute(node, "direction", "forward") == "reverse",
        t.attribute(node, "clip", None) is not None,
        t.attribute(node, "layout", 0) == 1,
        t.attribute(node, "input_forget", 0) == 1,
        node.op_type == "GRU" and not t.attribute(node, "linear_before_reset", 0),
        t.has(node, 4) and not t.is_constant(node, 4),
        node.op_type == "LSTM" and t.has(node, 7),
        node.op_type == "LSTM" and t.has(node, 5) != t.has(node, 6),
    ]
    if any(wrong):
        raise BuildError(
            f"the ONNX node '{node.name}' ({node.op_type}) is of a kind that PyTorch has not"
        )


def _reordered(array: Any, gates: tuple[int, ...]) -> Any:
    parts = np.split(array, len(gates))
    return np.concatenate([parts[i] for i in gates])


def split_directions(sequence: torch.Tensor, directions: int) -> torch.Tensor:
    """From [time, batch, directions * hidden] to ONNX's [time, directions, batch, hidden]."""
    time, batch = sequence.shape[:2]
    return sequence.reshape(time, batch, directions, -1).transpose(1, 2)
