"""Rank the layers of an OpenVINO model under one scheme."""

from collections.abc import Sequence
from typing import Any

from hamerspace.backends._sensitivity import Run
from hamerspace.backends.openvino.reading import (
    MOVING,
    RECURRENT,
    WEIGHTED,
    compile_model,
    weight_count,
)
from hamerspace.tasks.model import Arrays


def quantized_layers(model: Any, quantized: Any) -> dict[str, int]:
    """Number of weights of each operator that computes with quantised values.

    Sums and normalisations count, too: in transformers more is lost in them than in products.

    Args:
        model: The f32 model.
        quantized: The same with FakeQuantize operators.
    """
    consumers = {
        port.get_node().get_friendly_name()
        for op in quantized.get_ops()
        if op.get_type_name() == "FakeQuantize"
        for port in op.output(0).get_target_inputs()
    }
    return {
        op.get_friendly_name(): weight_count(op)
        for op in model.get_ordered_ops()
        if op.get_type_name() in (*WEIGHTED, *RECURRENT)
        or (op.get_friendly_name() in consumers and op.get_type_name() not in MOVING)
    }


def isolate(quantized: Any, layer: str) -> Any:
    """Return a copy of a model with the FakeQuantize operators of one layer and no others.

    Quantisers stand where the data of a layer come into being, which may be some reshapes before
    it: the search goes back from the layer to the first quantiser on each way.

    Args:
        quantized: A model whose weights are not folded yet, so that the float ones are there.
        layer: Name of the layer.
    """
    copy = quantized.clone()
    ops = copy.get_ordered_ops()
    target = next(op for op in ops if op.get_friendly_name() == layer)
    on_the_way, quantizers = _behind(target)
    for op in ops:
        if op.get_type_name() != "FakeQuantize":
            continue
        for consumer in op.output(0).get_target_inputs():
            keeps = op.get_friendly_name() in quantizers
            if not (keeps and consumer.get_node().get_friendly_name() in on_the_way):
                consumer.replace_source_output(op.input_value(0))
    return copy


def _behind(target: Any) -> tuple[set[str], set[str]]:
    """Names of the operators between a layer and its quantisers, itself included, and of these."""
    on_the_way, quantizers = {target.get_friendly_name()}, set()
    waiting = [target]
    while waiting:
        op = waiting.pop()
        for index in range(op.get_input_size()):
            before = op.input_value(index).get_node()
            name, kind = before.get_friendly_name(), before.get_type_name()
            if kind == "FakeQuantize":
                quantizers.add(name)
            elif kind in MOVING and name not in on_the_way:
                on_the_way.add(name)
                waiting.append(before)
    return on_the_way, quantizers


def runner(model: Any, outputs: Sequence[str]) -> Run:
    """Run a model as it is timed, save for the number of threads."""
    request = compile_model(model).create_infer_request()

    def run(batch: Arrays) -> dict[str, Any]:
        request.infer(dict(batch))
        return {name: request.get_tensor(name).data.copy() for name in outputs}

    return run
