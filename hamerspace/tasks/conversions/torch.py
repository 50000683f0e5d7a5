"""PyTorch's formats: to ONNX by its exporters and back, to TFLite by litert-torch."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hamerspace.errors import BuildError, ConfigError, SourceError
from hamerspace.tasks.conversions.base import Conversion, check_agreement, in_float32, one_line
from hamerspace.tasks.conversions.onnx_file import (
    OPSET,
    check_onnx,
    is_large,
    metadata_of,
    rename,
    run_onnx,
    save_onnx,
)
from hamerspace.tasks.example import example_batch
from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo, TensorSpec
from hamerspace.tasks.quiet import errors_only
from hamerspace.tasks.tflite import TfliteModel, name_signature

if TYPE_CHECKING:
    from hamerspace.tasks.torch_module import NamedModule

logger = logging.getLogger(__name__)

_FILE = "model.onnx"
_GRAPH = "graph.onnx"
_TFLITE = "model.tflite"
_ENVIRONMENT = "litert-torch"


class _ToOnnx(Conversion):
    """By ``torch.export`` where it can follow the model, by tracing elsewhere."""

    target = "onnx"
    modules = ("torch", "onnx", "onnxscript", "onnxruntime")
    extra = "full"
    distributions = ("torch", "onnx", "onnxscript", "onnxruntime")
    build_modules = (
        "torch._dynamo",
        "torch.onnx",
        "torch.onnx._internal.exporter._core",
        "onnxscript.function_libs.torch_lib.ops",
    )

    def convert(self, model: ModelArtifact, example: Arrays, workdir: Path) -> ModelArtifact:
        import torch

        from hamerspace.tasks.torch_module import load_module, to_tensor

        dynamic = model.inputs[0].shape[0] is None
        batch = example_batch(model.inputs, example)
        module = in_float32(load_module(model), model, batch)
        arguments = tuple(to_tensor(batch[t.name]) for t in model.inputs)
        exporters = [_script] if model.format == "torchscript" else [_dynamo, _script]
        failures = []
        for export in exporters:
            path = workdir / _FILE
            try:
                with torch.no_grad(), _quiet():
                    export(model, module, arguments, path, dynamic=dynamic)
                check_onnx(path, model, batch, module.run(batch))
            except Exception as error:  # noqa: BLE001 - exporters raise anything
                failures.append(f"{export.__name__.strip('_')} exporter: {one_line(error)}")
                for leftover in workdir.glob(f"{_FILE}*"):
                    leftover.unlink()
                continue
            external = sorted(p.name for p in workdir.glob(f"{_FILE}.*"))
            metadata = metadata_of(path, external)
            return ModelArtifact(workdir, "onnx", model.inputs, model.outputs, metadata).save()
        raise BuildError(f"the model cannot be exported to ONNX; {'; '.join(failures)}")


class PytorchToOnnx(_ToOnnx):
    origin = "pytorch"


class TorchExportToOnnx(_ToOnnx):
    origin = "torch_export"


class TorchScriptToOnnx(_ToOnnx):
    origin = "torchscript"


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
        path = workdir / _GRAPH
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
        metadata = {"onnx": _GRAPH, "weights": WEIGHTS}
        return ModelArtifact(workdir, "pytorch", model.inputs, model.outputs, metadata).save()


class _ToTflite(Conversion):
    """Converted at the deployment batch size, which the file keeps unless it can be resized.

    litert-torch follows a free batch dimension through few models (a flattening ends it), and
    LiteRT computes faster with shapes that it knows.
    """

    target = "tflite"
    modules = ("litert_torch", "torch", "ai_edge_litert")
    extra = ""
    distributions = ("litert-torch", "torch")
    environment = _ENVIRONMENT
    build_modules = ("torch", "litert_torch", "ai_edge_litert.interpreter")

    def convert(self, model: ModelArtifact, example: Arrays, workdir: Path) -> ModelArtifact:
        import litert_torch
        import torch

        from hamerspace.tasks.torch_module import to_tensor

        rows = _rows(model.inputs, example)
        batch = example_batch(model.inputs, example, rows)
        module = in_float32(_load(model), model, batch)
        path = workdir / _TFLITE
        try:
            with torch.no_grad():
                converted = litert_torch.convert(
                    module, tuple(to_tensor(batch[spec.name]) for spec in model.inputs)
                )
            converted.export(str(path))
        except Exception as error:
            text = f"{type(error).__name__}: {error}".split("\n")[0][:300]
            raise BuildError(f"litert-torch cannot convert the model; {text}") from error
        name_signature(
            path,
            {f"args_{i}": spec.name for i, spec in enumerate(model.inputs)},
            {f"output_{i}": spec.name for i, spec in enumerate(model.outputs)},
        )
        found = TfliteModel(path, model.inputs, model.outputs).run(batch)
        check_agreement(model.outputs, module.run(batch), found, "TFLite")
        inputs, outputs = model.inputs, model.outputs
        if inputs[0].shape[0] is None and not _resizable(model, module, example, rows, path):
            inputs, outputs = _fixed(inputs, batch), _fixed(outputs, found)
        return ModelArtifact(workdir, "tflite", inputs, outputs, {"model": _TFLITE}).save()


class PytorchToTflite(_ToTflite):
    origin = "pytorch"


class TorchExportToTflite(_ToTflite):
    origin = "torch_export"


def _dynamo(
    model: ModelArtifact, module: Any, arguments: tuple[Any, ...], path: Path, *, dynamic: bool
) -> None:
    """``torch.onnx.export`` by way of ``torch.export``, in the newest stable operators."""
    import torch

    shapes = None
    subject: Any = module
    if model.format == "torch_export" and not module.widened:
        subject, arguments = torch.export.load(model.file("model")), ()
    elif dynamic:
        # forward takes *inputs, one entry of which describes them all.
        shapes = (tuple({0: torch.export.Dim.DYNAMIC} for _ in arguments),)
    program = torch.onnx.export(
        subject,
        arguments,
        input_names=[t.name for t in model.inputs],
        output_names=[t.name for t in model.outputs],
        opset_version=OPSET,
        dynamo=True,
        dynamic_shapes=shapes,
        verbose=False,
    )
    assert program is not None
    weight_bytes = sum(t.numel() * t.element_size() for t in module.state_dict().values())
    program.save(path, external_data=is_large(weight_bytes))


def _script(
    model: ModelArtifact, module: Any, arguments: tuple[Any, ...], path: Path, *, dynamic: bool
) -> None:
    """The older exporter, which traces; it takes what ``torch.export`` cannot follow."""
    import onnx
    import torch

    specs = (*model.inputs, *model.outputs)
    axes = {t.name: {t.free_axis: "batch"} for t in specs if t.free_axis is not None}
    if model.format == "torchscript":
        # It exports ScriptModules only as they are; a wrapper would have to be scripted.
        module = module.inner
    torch.onnx.export(
        module,
        arguments,
        str(path),
        input_names=[t.name for t in model.inputs],
        output_names=[t.name for t in model.outputs],
        opset_version=OPSET,
        dynamo=False,
        dynamic_axes=axes if dynamic else None,
    )
    # An output that is constant loses its name where the exporter folds it.
    proto = onnx.load(path, load_external_data=False)
    pairs = zip(proto.graph.output, model.outputs, strict=True)
    lost = {value.name: spec.name for value, spec in pairs if value.name != spec.name}
    if lost:
        rename(proto.graph, lost)
        onnx.save(proto, path)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Send what the exporters print and warn to this module's log."""
    printed = io.StringIO()
    try:
        with (
            errors_only("torch.onnx"),
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        if printed.getvalue():
            logger.debug("exporter: %s", printed.getvalue().strip())


def _load(model: ModelArtifact) -> "NamedModule":
    from hamerspace.tasks.torch_module import load_module

    try:
        return load_module(model)
    except (ConfigError, SourceError) as error:
        raise BuildError(
            f"the model cannot be made in the tool environment {_ENVIRONMENT}, which holds torch "
            f"and transformers but not what else is installed here: {error}"
        ) from error


def _rows(inputs: tuple[TensorSpec, ...], example: Arrays) -> int:
    """Rows of the example, which is one batch of the deployment's."""
    counts = [len(example[s.name]) for s in inputs if s.name in example and not s.constant]
    return counts[0] if counts else 1


def _resizable(
    model: ModelArtifact, module: "NamedModule", example: Arrays, rows: int, path: Path
) -> bool:
    """Whether the file computes the same as the module for a batch of another size."""
    batch = example_batch(model.inputs, example, rows + 2)
    try:
        found = TfliteModel(path, model.inputs, model.outputs).run(batch)
        check_agreement(model.outputs, module.run(batch), found, "TFLite")
    except (BuildError, RuntimeError, ValueError):
        return False
    return True


def _fixed(specs: tuple[TensorSpec, ...], arrays: dict[str, Any]) -> tuple[TensorSpec, ...]:
    return tuple(
        spec if spec.constant else replace(spec, shape=np.shape(arrays[spec.name]))
        for spec in specs
    )
