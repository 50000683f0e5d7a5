"""Source models in ONNX."""

import logging
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

from hamerspace._text import first_line
from hamerspace.errors import SourceError
from hamerspace.tasks.conversions.onnx_file import check_onnx, is_large, metadata_of, save_onnx
from hamerspace.tasks.example import example_batch
from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo, TensorSpec
from hamerspace.tasks.onnx_graph import (
    external_files,
    foldable,
    graphs_of,
    is_quantized,
    load_session,
    named_tensors,
    read_by,
    read_onnx,
    refill,
)
from hamerspace.tasks.sources.base import SourceFormat, SourceSpec
from hamerspace.tasks.sources.inspection import LoadedModel, Weights, fed, inspect_model
from hamerspace.tasks.sources.op_families import onnx_families

logger = logging.getLogger(__name__)

_FILE = "model.onnx"
_KINDS = {
    "sequence_type": "a sequence",
    "map_type": "a map",
    "optional_type": "an optional value",
    "sparse_tensor_type": "a sparse tensor",
}


class OnnxSource(SourceFormat):
    """An ``.onnx`` file, with the external data files it names.

    The artifact is one file ``model.onnx`` where the weights fit into a protobuf message;
    otherwise the metadata list the ``external`` files beside it.

    What is found is that of the graph with its functions inlined and its constants folded, as
    builds read it (:func:`~hamerspace.tasks.onnx_graph.read_onnx`); where that answers otherwise
    than the file, the metadata say ``verbatim``. Weights and their sizes are the file's.

    ``details`` of what was found: the ``opset``, all ``operators``, whether the model
    ``has_subgraphs`` (If, Loop, Scan), and whether it is ``quantized`` already. Weights within
    subgraphs count.
    """

    name = "onnx"

    def open(
        self, spec: SourceSpec, example: Arrays | None, folder: Path
    ) -> tuple[ModelArtifact, SourceInfo]:
        path = spec.file
        external = _external_files(_parse(path), path)
        model = _load(path)
        others = {name: f"is {kind}" for name, kind in _take_out_others(model.graph).items()}
        if not model.graph.output:
            raise SourceError(
                f"{path} has no output of numbers: {_listed(others)}; export one, such as the "
                "scores before a ZipMap (zipmap=False)"
            )
        changed = _free_negative_dimensions(model.graph) or bool(others)
        weights = {
            name: numpy_helper.to_array(tensor)
            for graph in graphs_of(model.graph)
            for name, tensor in named_tensors(graph)
        }
        totals = Weights.of(weights, path)
        if (external or changed) and not is_large(totals.size_bytes):
            metadata = save_onnx(model, folder / _FILE)
        else:
            metadata = metadata_of(folder / _FILE, external)
            shutil.copyfile(path, folder / _FILE)
            for name in external:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path.parent / name, folder / name)
        session = _session(folder / _FILE)
        declared = _inputs(model.graph, path)
        names = [o.name for o in session.get_outputs()]
        arrays = fed(declared, example, spec)
        loaded = LoadedModel(
            label=str(path),
            run=lambda batch: dict(zip(names, session.run(names, dict(batch)), strict=True)),
            weights=totals,
            metadata=metadata,
            inputs=declared,
        )
        artifact, info = inspect_model(self.name, loaded, spec, example, folder, arrays)
        if foldable(model):
            model, metadata = _looked_into(model, artifact, session, arrays, metadata)
            artifact = replace(artifact, metadata=metadata).save()
        inner = {name for graph in graphs_of(model.graph) for name, _ in named_tensors(graph)}
        nodes = [
            (node.op_type, tuple(node.input))
            for graph in graphs_of(model.graph)
            for node in graph.node
        ]
        operators = {op_type for op_type, _ in nodes}
        info = replace(
            info,
            op_families=onnx_families(nodes, inner),
            findings=replace(info.findings, unfit={**others, **info.findings.unfit}),
            details={
                "opset": next((o.version for o in model.opset_import if o.domain == ""), None),
                "ir_version": model.ir_version,
                "operators": sorted(operators),
                "has_subgraphs": len(list(graphs_of(model.graph))) > 1,
                "quantized": any(map(is_quantized, operators)),
                "notes": _notes(others),
            },
        )
        return artifact, info


def _take_out_others(graph: Any) -> dict[str, str]:
    """Take out outputs that are no tensors of numbers, with the nodes that make nothing else.

    Nothing but ONNX Runtime has them. Classifiers that scikit-learn's converters write end so: in
    a ZipMap, or in labels of text.

    Returns:
        What it is, by name.
    """
    found = {value.name: kind for value in graph.output if (kind := _kind(value.type))}
    if not found:
        return {}
    refill(graph.output, [value for value in graph.output if value.name not in found])
    given, unused = {value.name for value in graph.output}, set(found)
    for node in reversed(list(graph.node)):
        made = unused.intersection(node.output)
        if made and (given | read_by(graph.node)).isdisjoint(node.output):
            unused.update(node.input)
            graph.node.remove(node)
    return found


def _kind(value: Any) -> str:
    if value.tensor_type.elem_type == onnx.TensorProto.STRING:
        return "text"
    return _KINDS.get(value.WhichOneof("value"), "")


def _notes(others: Mapping[str, str]) -> list[str]:
    if not others:
        return []
    remedy = "export it as a tensor of numbers to keep it (from scikit-learn with zipmap=False)"
    return [f"No candidate has {_listed(others)}; {remedy}."]


def _listed(others: Mapping[str, str]) -> str:
    return " and ".join(f"output '{name}', which {what}" for name, what in others.items())


def _parse(path: Path) -> Any:
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:
        raise SourceError(
            f"{path} is not an ONNX file, or is truncated ({error!r}); export or copy it again"
        ) from error
    if not model.graph.node or not model.ir_version:
        raise SourceError(f"{path} is not an ONNX file: it holds no graph; export it again")
    return model


def _external_files(model: Any, path: Path) -> list[str]:
    """File names of external data, checked to lie beside the model."""
    files = external_files(model)
    for name in files:
        target = (path.parent / name).resolve()
        if not target.is_relative_to(path.parent.resolve()):
            raise SourceError(f"{path} names weights outside its folder: '{name}'; export it again")
        if not target.is_file():
            raise SourceError(
                f"{path} keeps its weights in '{name}', which is missing in {path.parent}; "
                "copy it beside the model"
            )
    return files


def _load(path: Path) -> Any:
    try:
        onnx.checker.check_model(path)
        return onnx.load(path, load_external_data=True)
    except Exception as error:
        raise SourceError(
            f"{path} is not a valid ONNX model: {first_line(error)}; export it again"
        ) from error


def _looked_into(
    model: Any, artifact: ModelArtifact, session: Any, arrays: Arrays, metadata: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """The model as builds read it, where that computes the same; else as it is."""
    names = [spec.name for spec in artifact.outputs]
    batch = example_batch(artifact.inputs, arrays)
    wanted = dict(zip(names, session.run(names, batch), strict=True))
    found = read_onnx(artifact)
    try:
        # Beside the model: what is for temporary files may lie in memory.
        with tempfile.TemporaryDirectory(dir=artifact.folder) as folder:
            path = Path(folder) / _FILE
            save_onnx(found, path)
            check_onnx(path, artifact, batch, wanted)
    except Exception as error:  # noqa: BLE001 - whatever ONNX and its runtime raise
        logger.info("%s is built from as it is: %s", artifact.file("model").name, error)
        return model, {**metadata, "verbatim": True}
    return found, metadata


def _free_negative_dimensions(graph: Any) -> bool:
    """Give dimensions of -1, which some exporters mean as free, the form that every tool takes."""
    changed = False
    for value in (*graph.input, *graph.output, *graph.value_info):
        for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
            if dimension.dim_value < 0:
                dimension.dim_param = "batch" if axis == 0 else f"{value.name}_{axis}"
                changed = True
    return changed


def _session(file: Path) -> Any:
    try:
        return load_session(file)
    except Exception as error:
        raise SourceError(
            f"{file} cannot be run by ONNX Runtime {ort.__version__}: {first_line(error)}"
        ) from error


def _inputs(graph: Any, path: Path) -> tuple[TensorSpec, ...]:
    """The inputs that a caller must feed: those without an initializer."""
    initializers = {t.name for t in graph.initializer}
    specs = []
    for value in graph.input:
        if value.name in initializers:
            continue
        tensor = value.type.tensor_type
        if not tensor.elem_type:
            raise SourceError(f"{path}: input '{value.name}' is not a tensor; only tensors are fed")
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        dims = tuple(d.dim_value if d.dim_value > 0 else None for d in tensor.shape.dim)
        specs.append(TensorSpec(value.name, str(dtype), dims))
    if not specs:
        raise SourceError(f"{path} has no input; export a model that takes one")
    return tuple(specs)
