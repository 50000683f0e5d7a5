"""Conversions between model formats, each checked against the model it started from."""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hamerspace.errors import BuildError
from hamerspace.tasks.example import example_batch
from hamerspace.tasks.model import Arrays, ModelArtifact

logger = logging.getLogger(__name__)

OPSET = 18
_FILE = "model.onnx"
_SINGLE_FILE_BYTES = 1_900_000_000
_RELATIVE_TOLERANCE = 1e-3
# What is left of a sum that cancels is rounding of its terms.
_ABSOLUTE_TOLERANCE = 1e-6

DISTRIBUTIONS = ("torch", "onnx", "onnxscript", "onnxruntime")
"""Packages whose versions change what a conversion makes; they enter the store's keys."""
BUILD_MODULES = (
    "torch._dynamo",
    "torch.onnx",
    "torch.onnx._internal.exporter._core",
    "onnxscript.function_libs.torch_lib.ops",
)
"""What the first conversion would import; see :attr:`BackendConfig.build_modules`."""


def can_convert(origin: str, target: str) -> bool:
    """Whether a model of format ``origin`` can become one of format ``target``."""
    return (origin, target) in _CONVERTERS


def convert(model: ModelArtifact, target: str, example: Arrays, workdir: Path) -> ModelArtifact:
    """Convert a model and check the result on the example.

    Args:
        model: The model.
        target: A format, such as ``onnx``.
        example: One batch of inputs by name.
        workdir: An empty folder.

    Returns:
        The converted model in ``workdir``, its manifest saved. Names and order of inputs and
        outputs are kept; the batch dimension stays free where it was.

    Raises:
        BuildError: There is no such conversion, it fails, or its outputs differ.
    """
    if not can_convert(model.format, target):
        known = ", ".join(f"{a} -> {b}" for a, b in _CONVERTERS)
        raise BuildError(f"no conversion from {model.format} to {target}; known: {known}")
    return _CONVERTERS[model.format, target](model, example, workdir)


def _to_onnx(model: ModelArtifact, example: Arrays, workdir: Path) -> ModelArtifact:
    import torch

    from hamerspace.tasks.torch_module import load_module, to_tensor

    module = load_module(model)
    dynamic = model.inputs[0].shape[0] is None
    batch = example_batch(model.inputs, example)
    arguments = tuple(to_tensor(batch[t.name]) for t in model.inputs)
    exporters = [_script] if model.format == "torchscript" else [_dynamo, _script]
    failures = []
    for export in exporters:
        path = workdir / _FILE
        try:
            with torch.no_grad(), _quiet():
                export(model, module, arguments, path, dynamic=dynamic)
            _check(model, module.run(batch), batch, path)
        except Exception as error:  # noqa: BLE001 - exporters raise anything
            failures.append(f"{export.__name__.strip('_')} exporter: {_first_lines(error)}")
            for leftover in workdir.glob(f"{_FILE}*"):
                leftover.unlink()
            continue
        external = sorted(p.name for p in workdir.glob(f"{_FILE}.*"))
        metadata: dict[str, Any] = {"model": _FILE}
        if external:
            metadata["external"] = external
        return ModelArtifact(workdir, "onnx", model.inputs, model.outputs, metadata).save()
    raise BuildError(f"the model cannot be exported to ONNX; {'; '.join(failures)}")


def _dynamo(
    model: ModelArtifact, module: Any, arguments: tuple[Any, ...], path: Path, *, dynamic: bool
) -> None:
    """``torch.onnx.export`` by way of ``torch.export``, in the newest stable operators."""
    import torch

    shapes = None
    subject: Any = module
    if model.format == "torch_export":
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
    program.save(path, external_data=_weight_bytes(module) > _SINGLE_FILE_BYTES)


def _script(
    model: ModelArtifact, module: Any, arguments: tuple[Any, ...], path: Path, *, dynamic: bool
) -> None:
    """The older exporter, which traces; it takes what ``torch.export`` cannot follow."""
    import torch

    names = [t.name for t in (*model.inputs, *model.outputs)]
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
        dynamic_axes={name: {0: "batch"} for name in names} if dynamic else None,
    )


_CONVERTERS: dict[tuple[str, str], Callable[[ModelArtifact, Arrays, Path], ModelArtifact]] = {
    ("pytorch", "onnx"): _to_onnx,
    ("torch_export", "onnx"): _to_onnx,
    ("torchscript", "onnx"): _to_onnx,
}


def _check(model: ModelArtifact, wanted: Arrays, batch: Arrays, path: Path) -> None:
    """Compare the file in ONNX Runtime with what the model itself returned."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [t.name for t in model.outputs]
    found = dict(zip(names, session.run(names, dict(batch)), strict=True))
    for name in names:
        a, b = np.asarray(wanted[name], np.float64), np.asarray(found[name], np.float64)
        if a.shape != b.shape:
            raise BuildError(f"output '{name}' is {list(b.shape)} in ONNX, not {list(a.shape)}")
        # Against the scale of the whole tensor: its entries near zero carry rounding only.
        finite = np.isfinite(a)
        scale = float(np.abs(a[finite]).max(initial=0.0))
        difference = float(np.abs(a - b)[finite].max(initial=0.0))
        if not difference <= _RELATIVE_TOLERANCE * scale + _ABSOLUTE_TOLERANCE:
            raise BuildError(
                f"output '{name}' differs in ONNX by {difference:.3g}, at a scale of {scale:.3g}"
            )


def _weight_bytes(module: Any) -> int:
    return sum(t.numel() * t.element_size() for t in module.state_dict().values())


def _first_lines(error: Exception, lines: int = 3) -> str:
    return f"{type(error).__name__}: " + " ".join(str(error).split("\n")[:lines]).strip()[:500]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Send what the exporters print and warn to this module's log."""
    printed = io.StringIO()
    chatty = logging.getLogger("torch.onnx")
    level = chatty.level
    chatty.setLevel(logging.ERROR)
    try:
        with (
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        chatty.setLevel(level)
        if printed.getvalue():
            logger.debug("exporter: %s", printed.getvalue().strip())
