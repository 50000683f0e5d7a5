"""Float TFLite files to ONNX, by tf2onnx."""

from pathlib import Path

from hamerspace.errors import BuildError
from hamerspace.tasks.conversions.base import Conversion, one_line
from hamerspace.tasks.conversions.onnx_file import (
    OPSET,
    arrange,
    check_onnx,
    rename,
    save_onnx,
)
from hamerspace.tasks.example import example_batch
from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo

_FILE = "model.onnx"


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
        from hamerspace.tasks.tensorflow_module import quiet_tensorflow
        from hamerspace.tasks.tflite import TfliteModel

        source, path = model.file("model"), workdir / _FILE
        batch = example_batch(model.inputs, example)
        wanted = TfliteModel(source, model.inputs, model.outputs).run(batch)
        with quiet_tensorflow():
            import tf2onnx

            try:
                proto, _ = tf2onnx.convert.from_tflite(str(source), opset=OPSET)
            except Exception as error:
                raise BuildError(
                    f"tf2onnx cannot convert this TFLite file: {one_line(error)}"
                ) from error
        rename(proto.graph, _tensor_names(source, model))
        arrange(proto, model)
        metadata = save_onnx(proto, path)
        check_onnx(path, model, batch, wanted)
        return ModelArtifact(workdir, "onnx", model.inputs, model.outputs, metadata).save()


def _tensor_names(path: Path, model: ModelArtifact) -> dict[str, str]:
    """The name in the signature of the tensors that are inputs and outputs."""
    from ai_edge_litert.interpreter import Interpreter

    from hamerspace.tasks.tflite import details_of

    inputs, outputs = details_of(Interpreter(model_path=str(path)))
    if isinstance(inputs, dict):
        return {detail["name"]: name for name, detail in {**inputs, **outputs}.items()}
    pairs = zip([*inputs, *outputs], [*model.inputs, *model.outputs], strict=True)
    return {detail["name"]: spec.name for detail, spec in pairs}
