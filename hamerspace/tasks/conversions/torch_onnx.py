"""PyTorch models of every kind to ONNX."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hamerspace.errors import BuildError
from hamerspace.tasks.conversions.base import Conversion, in_float32, one_line
from hamerspace.tasks.conversions.onnx_file import (
    OPSET,
    check_onnx,
    is_large,
    metadata_of,
    rename,
)
from hamerspace.tasks.example import example_batch
from hamerspace.tasks.model import Arrays, ModelArtifact
from hamerspace.tasks.quiet import errors_only

logger = logging.getLogger(__name__)

_FILE = "model.onnx"


class _TorchToOnnx(Conversion):
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


class PytorchToOnnx(_TorchToOnnx):
    origin = "pytorch"


class TorchExportToOnnx(_TorchToOnnx):
    origin = "torch_export"


class TorchScriptToOnnx(_TorchToOnnx):
    origin = "torchscript"


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
    program.save(path, external_data=is_large(_weight_bytes(module)))


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


def _weight_bytes(module: Any) -> int:
    return sum(t.numel() * t.element_size() for t in module.state_dict().values())


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
