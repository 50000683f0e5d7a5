"""TensorFlow's formats: all to ONNX by tf2onnx, Keras models and SavedModels to TFLite."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hamerspace.errors import BuildError
from hamerspace.tasks.conversions.base import HALF_TOLERANCE, Conversion, check_agreement, one_line
from hamerspace.tasks.conversions.onnx_file import OPSET, rename, save_checked
from hamerspace.tasks.example import example_batch
from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo, TensorSpec
from hamerspace.tasks.tflite import TfliteModel, details_of, name_signature

if TYPE_CHECKING:
    from hamerspace.tasks.tensorflow_module import NamedFunction

_FILE = "model.tflite"
# A list of tensors whose size is known only when it runs, which is how TensorFlow writes a
# recurrence; the converter takes it only where the batch is fixed.
_LIST = "TensorListReserve"


class _ToOnnx(Conversion):
    target = "onnx"
    modules = ("tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime")
    extra = "tensorflow"
    distributions = ("tensorflow-cpu", "tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime")
    build_modules = ("tf2onnx.convert",)

    def convert(self, model: ModelArtifact, example: Arrays, workdir: Path) -> ModelArtifact:
        from hamerspace.tasks.tensorflow_module import quiet_tensorflow

        batch = example_batch(model.inputs, example)
        with quiet_tensorflow():
            function = _load_in_float32(model, batch)
            wanted = function.run(batch)
        with _tf2onnx("model") as tool:
            proto, _ = tool.from_function(
                function.function(),
                function.signature(),
                opset=OPSET,
                custom_op_handlers={"Erfc": (_erfc, [])},
            )
        return save_checked(proto, model, workdir, batch, wanted)


class KerasToOnnx(_ToOnnx):
    origin = "keras"


class SavedModelToOnnx(_ToOnnx):
    origin = "saved_model"


class TfliteToOnnx(Conversion):
    """Quantised files are refused: what comes out would round elsewhere than they do."""

    origin = "tflite"
    target = "onnx"
    modules = ("tensorflow", "tf2onnx", "ai_edge_litert", "onnx", "onnxruntime")
    extra = "tensorflow"
    distributions = ("tensorflow-cpu", "tensorflow", "tf2onnx", "onnx", "onnxruntime")
    build_modules = ("tf2onnx.convert", "ai_edge_litert.interpreter")

    def refuses(self, source: SourceInfo) -> str | None:
        if source.format == "tflite" and source.details.get("quantized"):
            return "the model is quantised already, and in ONNX it would round elsewhere"
        return None

    def convert(self, model: ModelArtifact, example: Arrays, workdir: Path) -> ModelArtifact:
        source = model.file("model")
        batch = example_batch(model.inputs, example)
        wanted = TfliteModel(source, model.inputs, model.outputs).run(batch)
        with _tf2onnx("TFLite file") as tool:
            proto, _ = tool.from_tflite(str(source), opset=OPSET)
        rename(proto.graph, _tensor_names(source, model))
        return save_checked(proto, model, workdir, batch, wanted)


class _ToTflite(Conversion):
    """The batch stays free, save for recurrent models: they get the rows of the example."""

    target = "tflite"
    modules = ("tensorflow", "keras", "ai_edge_litert")
    extra = "tensorflow"
    distributions = ("tensorflow-cpu", "tensorflow", "keras", "ai-edge-litert")
    build_modules = ("tensorflow.lite.python.lite", "ai_edge_litert.interpreter")

    def convert(self, model: ModelArtifact, example: Arrays, workdir: Path) -> ModelArtifact:
        from hamerspace.tasks.tensorflow_module import frozen, graph_nodes, quiet_tensorflow

        with quiet_tensorflow():
            function = _load_in_float32(model, example_batch(model.inputs, example))
            graph, rows = frozen(function), None
            recurrent = any(n.op == _LIST for n in graph_nodes(graph.graph.as_graph_def()))
            if recurrent and model.inputs[0].shape[0] is None:
                rows = len(example[model.inputs[0].name])
                graph = frozen(function, rows)
            path = workdir / _FILE
            path.write_bytes(_convert(graph))
            batch = example_batch(model.inputs, example, rows or 2)
            wanted = function.run(batch)
        name_signature(
            path,
            {spec.name: spec.name for spec in model.inputs},
            {f"output_{i}": spec.name for i, spec in enumerate(model.outputs)},
        )
        inputs, outputs = _fixed(model.inputs, rows), _fixed(model.outputs, rows)
        found = TfliteModel(path, inputs, outputs).run(batch)
        check_agreement(outputs, wanted, found, "TFLite")
        return ModelArtifact(workdir, "tflite", inputs, outputs, {"model": _FILE}).save()


class KerasToTflite(_ToTflite):
    origin = "keras"


class SavedModelToTflite(_ToTflite):
    origin = "saved_model"

    def refuses(self, source: SourceInfo) -> str | None:
        if source.format == "saved_model" and "rnn" in source.op_families and source.dynamic_batch:
            return (
                "TensorFlow converts a recurrent model only where its batch is fixed, and this "
                "SavedModel leaves it free; give the .keras file"
            )
        return None


def _load_in_float32(model: ModelArtifact, batch: Arrays) -> "NamedFunction":
    """Load a model; one of Keras computes in float32 where it would in half precision.

    See :func:`hamerspace.tasks.conversions.base.in_float32`.
    """
    from hamerspace.tasks.tensorflow_module import keras_function, load_function

    function = load_function(model)
    if model.format != "keras":
        return function
    from hamerspace.tasks import keras_precision

    half = keras_precision.half_precision(function.owner)
    if half is None:
        return function
    widened = keras_precision.in_float32(function.owner, trusted="root" in model.metadata)
    wide = keras_function(widened, model.file("model"))
    wide.outputs = function.outputs
    found, own = wide.run(batch), function.run(batch)
    check_agreement(model.outputs, own, found, "float32", HALF_TOLERANCE[half])
    return wide


@contextmanager
def _tf2onnx(subject: str) -> Iterator[Any]:
    """Give ``tf2onnx.convert``, in quiet; what it raises becomes a :class:`BuildError`."""
    from hamerspace.tasks.tensorflow_module import quiet_tensorflow

    with quiet_tensorflow():
        import tf2onnx

        try:
            yield tf2onnx.convert
        except Exception as error:
            raise BuildError(f"tf2onnx cannot convert this {subject}: {one_line(error)}") from error


def _erfc(graph: Any, node: Any, name: str, _: Any) -> None:
    """``1 - erf(x)``: Keras's GELU calls an operator that ONNX does not have."""
    output, (x,) = node.output[0], node.input
    made = {"shapes": [graph.get_shape(output)], "dtypes": [graph.get_dtype(output)]}
    graph.remove_node(node.name)
    one = graph.make_const(f"{name}_one", np.ones((), np.float32))
    erf = graph.make_node("Erf", [x], **made)
    graph.make_node("Sub", [one.output[0], erf.output[0]], outputs=[output], name=name, **made)


def _tensor_names(path: Path, model: ModelArtifact) -> dict[str, str]:
    """The name in the signature of the tensors that are inputs and outputs."""
    from ai_edge_litert.interpreter import Interpreter

    inputs, outputs = details_of(Interpreter(model_path=str(path)))
    if isinstance(inputs, dict):
        return {detail["name"]: name for name, detail in {**inputs, **outputs}.items()}
    pairs = zip([*inputs, *outputs], [*model.inputs, *model.outputs], strict=True)
    return {detail["name"]: spec.name for detail, spec in pairs}


def _fixed(specs: tuple[TensorSpec, ...], rows: int | None) -> tuple[TensorSpec, ...]:
    if rows is None:
        return specs
    return tuple(
        spec
        if (axis := spec.free_axis) is None
        else replace(spec, shape=(*spec.shape[:axis], rows, *spec.shape[axis + 1 :]))
        for spec in specs
    )


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
