"""Keras models and SavedModels to TFLite, by TensorFlow's own converter."""

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from hamerspace.errors import BuildError
from hamerspace.tasks.conversions.base import Conversion, check_agreement, one_line
from hamerspace.tasks.example import example_batch
from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo, TensorSpec
from hamerspace.tasks.tflite import TfliteModel, name_signature

_FILE = "model.tflite"
# A list of tensors whose size is known only when it runs, which is how TensorFlow writes a
# recurrence; the converter takes it only where the batch is fixed.
_LIST = "TensorListReserve"


class _TensorflowToTflite(Conversion):
    """The batch stays free, save for recurrent models: they get the rows of the example."""

    target = "tflite"
    modules = ("tensorflow", "keras", "ai_edge_litert")
    extra = "tensorflow"
    distributions = ("tensorflow-cpu", "tensorflow", "keras", "ai-edge-litert")
    build_modules = ("tensorflow.lite.python.lite", "ai_edge_litert.interpreter")

    def convert(self, model: ModelArtifact, example: Arrays, workdir: Path) -> ModelArtifact:
        from hamerspace.tasks.conversions._tensorflow import load_in_float32
        from hamerspace.tasks.tensorflow_module import frozen, quiet_tensorflow

        with quiet_tensorflow():
            function = load_in_float32(model, example_batch(model.inputs, example))
            graph, rows = frozen(function), None
            if _LIST in _operators(graph) and model.inputs[0].shape[0] is None:
                rows = len(example[model.inputs[0].name])
                graph = frozen(function, rows)
            path = workdir / _FILE
            path.write_bytes(_convert(graph))
            batch = example_batch(model.inputs, example, rows or 2)
            wanted = function.run(batch)
        found = [f"output_{i}" for i in range(len(model.outputs))]
        names = [spec.name for spec in model.outputs]
        name_signature(
            path,
            {spec.name: spec.name for spec in model.inputs},
            dict(zip(found, names, strict=True)),
        )
        inputs, outputs = _fixed(model.inputs, rows), _fixed(model.outputs, rows)
        loaded = TfliteModel(path, inputs, outputs)
        check_agreement(outputs, wanted, loaded.run(batch), "TFLite")
        return ModelArtifact(workdir, "tflite", inputs, outputs, {"model": _FILE}).save()


class KerasToTflite(_TensorflowToTflite):
    origin = "keras"


class SavedModelToTflite(_TensorflowToTflite):
    origin = "saved_model"

    def refuses(self, source: SourceInfo) -> str | None:
        if source.format == "saved_model" and "rnn" in source.op_families and source.dynamic_batch:
            return (
                "TensorFlow converts a recurrent model only where its batch is fixed, and this "
                "SavedModel leaves it free; give the .keras file"
            )
        return None


def _fixed(specs: tuple[TensorSpec, ...], rows: int | None) -> tuple[TensorSpec, ...]:
    if rows is None:
        return specs
    return tuple(
        spec
        if (axis := spec.free_axis) is None
        else replace(spec, shape=(*spec.shape[:axis], rows, *spec.shape[axis + 1 :]))
        for spec in specs
    )


def _operators(graph: Any) -> set[str]:
    definition = graph.graph.as_graph_def()
    nodes = [*definition.node, *(n for f in definition.library.function for n in f.node_def)]
    return {node.op for node in nodes}


def _convert(graph: Any) -> bytes:
    """By way of a SavedModel without variables.

    Given the function itself, or a SavedModel with variables that it cannot follow, the converter
    leaves the weights out without a word.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        # Gradients of their own, such as swish has, cannot be saved and are not needed.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(tf.Module(), folder, signatures=graph, options=options)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        try:
            return bytes(converter.convert())
        except Exception as error:
            raise BuildError(
                f"TensorFlow cannot convert this model to TFLite: {one_line(error)}"
            ) from error
