"""Keras models and SavedModels to ONNX, by tf2onnx."""

from pathlib import Path
from typing import Any

import numpy as np

from hamerspace.errors import BuildError
from hamerspace.tasks.conversions.base import Conversion, one_line
from hamerspace.tasks.conversions.onnx_file import OPSET, arrange, check_onnx, save_onnx
from hamerspace.tasks.example import example_batch
from hamerspace.tasks.model import Arrays, ModelArtifact

_FILE = "model.onnx"


class _TensorflowToOnnx(Conversion):
    target = "onnx"
    modules = ("tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime")
    extra = "tensorflow"
    distributions = ("tensorflow-cpu", "tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime")
    build_modules = ("tf2onnx.convert",)

    def convert(self, model: ModelArtifact, example: Arrays, workdir: Path) -> ModelArtifact:
        from hamerspace.tasks.conversions._tensorflow import load_in_float32
        from hamerspace.tasks.tensorflow_module import quiet_tensorflow

        path = workdir / _FILE
        batch = example_batch(model.inputs, example)
        with quiet_tensorflow():
            function = load_in_float32(model, batch)
            wanted = function.run(batch)
            try:
                proto = _export(function)
            except Exception as error:
                raise BuildError(f"tf2onnx cannot convert this model: {one_line(error)}") from error
        arrange(proto, model)
        metadata = save_onnx(proto, path)
        check_onnx(path, model, batch, wanted)
        return ModelArtifact(workdir, "onnx", model.inputs, model.outputs, metadata).save()


class KerasToOnnx(_TensorflowToOnnx):
    origin = "keras"


class SavedModelToOnnx(_TensorflowToOnnx):
    origin = "saved_model"


def _export(function: Any) -> Any:
    import tf2onnx

    proto, _ = tf2onnx.convert.from_function(
        function.function(),
        function.signature(),
        opset=OPSET,
        custom_op_handlers={"Erfc": (_erfc, [])},
    )
    return proto


def _erfc(graph: Any, node: Any, name: str, _: Any) -> None:
    """``1 - erf(x)``: Keras's GELU calls an operator that ONNX does not have."""
    output, (x,) = node.output[0], node.input
    shape, dtype = graph.get_shape(output), graph.get_dtype(output)
    graph.remove_node(node.name)
    one = graph.make_const(f"{name}_one", np.ones((), np.float32))
    erf = graph.make_node("Erf", [x], shapes=[shape], dtypes=[dtype])
    graph.make_node(
        "Sub",
        [one.output[0], erf.output[0]],
        outputs=[output],
        name=name,
        shapes=[shape],
        dtypes=[dtype],
    )
