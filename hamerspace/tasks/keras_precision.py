"""Keras models that compute in half precision, and the same computing in float32."""

from typing import Any

import keras

_HALVES = ("bfloat16", "float16")


def half_precision(model: Any) -> str | None:
    """The type of half precision in which a layer computes; ``None`` where none does."""
    computed = {layer.compute_dtype for layer in model._flatten_layers()}  # noqa: SLF001 - the public list has no nested ones
    return next((half for half in _HALVES if half in computed), None)


def in_float32(model: Any, *, trusted: bool) -> Any:
    """A copy with the same weights whose layers compute in float32; inputs keep their types.

    Args:
        model: Functional or sequential.
        trusted: Whether code in the model may be run.
    """
    before = keras.saving.serialize_keras_object(model)
    config = _widened(before)
    pairs = zip(before["config"]["layers"], config["config"]["layers"], strict=True)
    for own, layer in pairs:
        if own["class_name"] == "InputLayer":
            layer["config"]["dtype"] = own["config"]["dtype"]
    copied = keras.saving.deserialize_keras_object(config, safe_mode=not trusted)
    copied.set_weights([keras.ops.cast(w, "float32") for w in model.weights])
    return copied


def _widened(value: Any, *, policy: bool = False) -> Any:
    """A configuration with float32 for every policy and type of half precision."""
    if isinstance(value, dict):
        return {
            key: _widened(part, policy=key == "dtype" or (policy and key in ("config", "name")))
            for key, part in value.items()
            # What shapes and policies a layer was built with follows from the rest.
            if key != "compile_config"
        }
    if isinstance(value, list | tuple):
        return type(value)(_widened(part) for part in value)
    if policy and isinstance(value, str) and value.endswith(_HALVES):
        return "float32"
    return value
