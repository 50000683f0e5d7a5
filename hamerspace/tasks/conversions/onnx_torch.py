"""ONNX models to PyTorch, so that techniques for PyTorch modules can be applied to them."""

from pathlib import Path

from hamerspace.errors import BuildError
from hamerspace.tasks.conversions.base import Conversion, check_agreement, one_line
from hamerspace.tasks.conversions.onnx_file import run_onnx, save_onnx
from hamerspace.tasks.example import example_batch
from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo

_FILE = "graph.onnx"


class OnnxToPytorch(Conversion):
    """Exact, or refused. The artifact keeps the ONNX file, from which the module is made."""

    origin = "onnx"
    target = "pytorch"
    modules = ("torch", "onnx", "onnxruntime", "safetensors")
    extra = "full"
    distributions = ("torch", "onnx", "onnxruntime")
    build_modules = ("torch.fx", "onnx.reference", "hamerspace.tasks.onnx_module")

    def refuses(self, source: SourceInfo) -> str | None:
        if source.format != "onnx":
            return None
        if source.details.get("quantized"):
            return "the model is quantised already, and its integers cannot be trained"
        if source.details.get("has_subgraphs"):
            return "it has If, Loop or Scan, which a PyTorch module made of layers has not"
        return None

    def convert(self, model: ModelArtifact, example: Arrays, workdir: Path) -> ModelArtifact:
        from hamerspace.tasks.onnx_graph import read_onnx
        from hamerspace.tasks.onnx_module import build_module
        from hamerspace.tasks.torch_module import WEIGHTS, NamedModule, write_weights

        if model.metadata.get("external"):
            raise BuildError("a model of more than one ONNX file is not translated to PyTorch")
        path = workdir / _FILE
        save_onnx(read_onnx(model), path)
        inner = build_module(path)
        names = [spec.name for spec in model.inputs]
        named = NamedModule(inner, names, [spec.name for spec in model.outputs])
        batch = example_batch(model.inputs, example)
        try:
            found = named.run(batch)
        except Exception as error:
            raise BuildError(f"the model does not run in PyTorch: {one_line(error)}") from error
        check_agreement(
            model.outputs, run_onnx(model.file("model"), model, batch), found, "PyTorch"
        )
        write_weights(inner, workdir / WEIGHTS)
        metadata = {"onnx": _FILE, "weights": WEIGHTS}
        return ModelArtifact(workdir, "pytorch", model.inputs, model.outputs, metadata).save()
