"""Clone a Keras model with narrower layers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from hamerspace.errors import BuildError
from hamerspace.tasks import keras_precision
from hamerspace.tasks.model import ModelArtifact
from hamerspace.tasks.tensorflow_module import load_keras

_WIDTHS = ("filters", "units", "output_dim")
_WRAPPED = ("layer", "forward_layer", "backward_layer")


def read(artifact: ModelArtifact) -> Any:
    """Load a Keras model that is a graph of layers, to compute in float32.

    Raises:
        BuildError: It is a subclass of ``keras.Model`` whose layers only its code knows.
    """
    trusted = artifact.metadata.get("root")
    path = artifact.file("model")
    model = load_keras(path, None if trusted is None else Path(trusted))
    if not getattr(model, "outputs", None):
        raise BuildError(
            f"student.width: {type(model).__name__} is not a functional or sequential Keras "
            "model, so its layers cannot be narrowed"
        )
    if keras_precision.half_precision(model) is not None:
        return keras_precision.in_float32(model, trusted=trusted is not None)
    return model


def narrow(model: Any, width: float, seed: int) -> Any:
    """An untrained clone of ``model`` with layers of ``width`` times the filters and units.

    Layers that make the model's outputs keep their width. Where a layer's weights keep their
    shapes, such as those of a Normalization, the clone starts with the values of the model.

    Args:
        model: Functional or sequential.
        width: In (0, 1).
        seed: Of the initial weights.

    Raises:
        BuildError: A layer is not Keras's own, or the layers no longer fit each other.
    """
    foreign = [m for m in _layers(model) if not type(m).__module__.startswith("keras.")]
    if foreign:
        raise BuildError(
            f"student.width: layer '{foreign[0].name}' is a {type(foreign[0]).__name__}, which is "
            "not Keras's own, so nobody knows how to narrow it"
        )
    fixed = {layer.name for tensor in model.outputs for layer in _makers(tensor)}

    def clone(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name not in fixed:
            config = _scaled(config, width)
        return type(layer).from_config(config)

    keras.utils.set_random_seed(seed)
    try:
        student = keras.models.clone_model(model, clone_function=clone, recursive=True)
    except Exception as error:  # layers raise anything where shapes clash
        raise BuildError(
            f"student.width {width:g}: the narrower layers do not fit each other ({error}); does "
            "the model name a width in a Reshape?"
        ) from error
    if student.count_params() == model.count_params():
        raise BuildError("student.width: no layer but those of the outputs has a width")
    for old, new in zip(_layers(model), _layers(student), strict=True):
        values = old.get_weights()
        if values and [v.shape for v in values] == [w.shape for w in new.weights]:
            new.set_weights(values)
    return student


def _scaled(config: dict[str, Any], width: float) -> dict[str, Any]:
    """The configuration with scaled widths, that of a wrapped layer included."""
    scaled = dict(config)
    for key in _WIDTHS:
        if isinstance(config.get(key), int):
            parts = config.get("groups") or 1
            per_part = max(1, int(config[key] / parts * width + 0.5))
            scaled[key] = per_part * parts
    for key in _WRAPPED:
        inner = config.get(key)
        if isinstance(inner, dict) and isinstance(inner.get("config"), dict):
            # What the wrapped layer was built for is no longer its input's shape.
            kept = {k: v for k, v in inner.items() if k != "build_config"}
            scaled[key] = {**kept, "config": _scaled(inner["config"], width)}
    return scaled


def _makers(tensor: Any) -> Iterator[Any]:
    """The layers with a width that are nearest to ``tensor``, which decide its shape."""
    pending, seen = [tensor], set()
    while pending:
        operation, node_index, _ = pending.pop()._keras_history  # noqa: SLF001 - the graph has no other door
        if operation in seen:
            continue
        seen.add(operation)
        if isinstance(operation, keras.Model):
            pending.extend(operation.outputs)
        elif _has_width(operation):
            yield operation
        else:
            pending.extend(operation._inbound_nodes[node_index].input_tensors)  # noqa: SLF001


def _has_width(operation: Any) -> bool:
    if not isinstance(operation, keras.layers.Layer):
        return False
    inner = next((getattr(operation, key) for key in _WRAPPED if hasattr(operation, key)), None)
    subject = operation if inner is None else inner
    return any(isinstance(getattr(subject, key, None), int) for key in _WIDTHS)


def _layers(model: Any) -> list[Any]:
    """The layers of a model and of the models within it."""
    found = []
    for layer in model.layers:
        found += _layers(layer) if isinstance(layer, keras.Model) else [layer]
    return found
