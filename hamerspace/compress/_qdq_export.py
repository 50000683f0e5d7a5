"""Export a module with fake quantisers to ONNX, its weights stored in int8."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch

from hamerspace.errors import BuildError
from hamerspace.tasks.conversions.onnx_file import OPSET, run_onnx
from hamerspace.tasks.example import example_batch
from hamerspace.tasks.model import Arrays, ModelArtifact
from hamerspace.tasks.quiet_nncf import quiet_nncf
from hamerspace.tasks.torch_module import NamedModule, to_tensor

_FILE = "model.onnx"
_TRACED = "traced.onnx"
# Of the outputs' mean square. Roundings at the edge of a step flip; more is another model.
_MOST_DIFFERENCE = 0.01


def export_qdq(
    module: NamedModule, model: ModelArtifact, data: Arrays, workdir: Path
) -> ModelArtifact:
    """Write ``module`` as ONNX with QuantizeLinear and DequantizeLinear into ``workdir``.

    Args:
        module: From :func:`hamerspace.compress._fake_quantize.fake_quantize`; changed in place.
        model: The artifact that it was made from.
        data: Rows to trace and to compare with.
        workdir: An existing folder.

    Raises:
        BuildError: It cannot be exported, or the file computes something else.
    """
    batch = example_batch(model.inputs, data)
    arguments = tuple(to_tensor(batch[spec.name]) for spec in model.inputs)
    with torch.no_grad():
        wanted = [output.numpy() for output in module(*arguments)]
    traced = workdir / _TRACED
    try:
        _trace(module, model, arguments, traced)
    except Exception as error:  # the exporter raises anything
        raise BuildError(f"the quantised module cannot be exported to ONNX: {error!r}") from error
    _fold_weights(traced, workdir / _FILE)
    traced.unlink()
    found = run_onnx(workdir / _FILE, model, batch)
    for a, (name, b) in zip(wanted, found.items(), strict=True):
        difference = _relative_error(a, b)
        if not difference <= _MOST_DIFFERENCE:
            raise BuildError(
                f"output '{name}' of the quantised model differs in ONNX by {difference:.3g} of "
                "its mean square"
            )
    return ModelArtifact(workdir, "onnx", model.inputs, model.outputs, {"model": _FILE}).save()


def _trace(module: NamedModule, model: ModelArtifact, arguments: Any, path: Path) -> None:
    specs = [*model.inputs, *model.outputs]
    free = {s.name: s.free_axis for s in specs if not s.constant and s.free_axis is not None}
    with quiet_nncf() as nncf, warnings.catch_warnings(action="ignore"), torch.no_grad():
        torch.onnx.export(
            nncf.strip(module, example_input=arguments),
            arguments,
            str(path),
            input_names=[spec.name for spec in model.inputs],
            output_names=[spec.name for spec in model.outputs],
            opset_version=OPSET,
            # torch.export cannot follow fake quantisers, whose observers are tensors that it
            # would have to branch on.
            dynamo=False,
            dynamic_axes={name: {axis: "batch"} for name, axis in free.items()},
        )


def _fold_weights(traced: Path, path: Path) -> None:
    """Store weights as ONNX Runtime's constant folding leaves them: in int8.

    What is exported is float weights that pass through QuantizeLinear.
    """
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    ort.InferenceSession(traced, options)
    model = onnx.load(path)
    used = {node.domain for node in model.graph.node}
    imports = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(imports)
    onnx.save(model, path)


def _relative_error(wanted: Any, found: Any) -> float:
    a, b = np.asarray(wanted, np.float64), np.asarray(found, np.float64)
    if a.shape != b.shape:
        return float("inf")
    return float(((a - b) ** 2).mean() / max((a**2).mean(), np.finfo(np.float32).tiny))
