"""TFLite files: the names in their signature, and running them by these names.

The names of a TFLite file's inputs and outputs stand in its signature; those of its tensors are
the converter's own. The runtime is imported when a model is loaded, and nothing heavier.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hamerspace.errors import BuildError
from hamerspace.tasks.model import Arrays, TensorSpec

SIGNATURE = "serving_default"
"""Name of the signature that files without one are given."""


class TfliteModel:
    """A loaded TFLite file that maps named arrays to named arrays.

    Args:
        path: The file.
        inputs: Names that the signature holds; without a signature, in the order of the file.
        outputs: The same of the outputs, in the order in which they are to be returned.
        threads: Threads of one inference.
        xnnpack: Whether XNNPACK runs what it can; elsewhere the runtime's own kernels do.

    Raises:
        BuildError: The file is damaged, or lacks one of the names.
    """

    def __init__(
        self,
        path: Path,
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        threads: int = 1,
        *,
        xnnpack: bool = True,
    ) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        kinds = OpResolverType
        resolver = kinds.AUTO if xnnpack else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        try:
            interpreter = Interpreter(
                model_path=str(path), num_threads=threads, experimental_op_resolver_type=resolver
            )
            interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise BuildError(f"LiteRT cannot load {path.name}: {error}") from error
        self._interpreter = interpreter
        found_inputs, found_outputs = details_of(interpreter)
        taken = _matched(inputs, found_inputs, path, "input")
        given = _matched(outputs, found_outputs, path, "output")
        self._inputs = [(spec.name, detail["index"]) for spec, detail in taken]
        self._outputs = [(spec.name, detail["index"]) for spec, detail in given]
        self._casts = {s.name: d["dtype"] for s, d in taken if np.dtype(s.dtype) != d["dtype"]}
        returned = {spec.name: _returned(spec.dtype) for spec in outputs}
        self._recasts = {
            s.name: returned[s.name] for s, d in given if np.dtype(returned[s.name]) != d["dtype"]
        }
        self._shapes: dict[str, tuple[int, ...]] = {}

    def run(self, batch: Arrays) -> dict[str, Any]:
        """Run once; a batch of another shape than before allocates anew."""
        if any(batch[name].shape != self._shapes.get(name) for name, _ in self._inputs):
            self._resize(batch)
        interpreter = self._interpreter
        for name, index in self._inputs:
            array = batch[name]
            if name in self._casts:
                array = array.astype(self._casts[name])
            interpreter.set_tensor(index, array)
        interpreter.invoke()
        results = {name: interpreter.get_tensor(index) for name, index in self._outputs}
        for name, dtype in self._recasts.items():
            results[name] = results[name].astype(dtype)
        return results

    def _resize(self, batch: Arrays) -> None:
        current = {d["index"]: tuple(d["shape"]) for d in self._interpreter.get_input_details()}
        shapes = {name: tuple(batch[name].shape) for name, _ in self._inputs}
        if any(current[index] != shapes[name] for name, index in self._inputs):
            for name, index in self._inputs:
                self._interpreter.resize_tensor_input(index, shapes[name])
            try:
                self._interpreter.allocate_tensors()
            except RuntimeError as error:
                given = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
                raise BuildError(f"this TFLite file does not take {given}: {error}") from error
        self._shapes = shapes


def weights_by_type(model: Any) -> dict[str, int]:
    """Number of weights by type: constants with two dimensions or more.

    Args:
        model: A ``ModelT`` of ``ai_edge_litert.tools.flatbuffer_utils``. Its integers count where
            they have a scale.
    """
    counts: Counter[str] = Counter()
    for _, tensor, dtype, _ in constants_of(model):
        scaled = tensor.quantization and (
            tensor.quantization.scale is not None or tensor.quantization.details is not None
        )
        if len(tensor.shape) > 1 and (scaled or "float" in dtype):
            counts[dtype] += int(np.prod(tensor.shape))
    return dict(counts)


def constants_of(model: Any) -> Iterator[tuple[int, Any, str, Any]]:
    """Number of the graph, tensor, type and bytes of each constant of more than one value."""
    from ai_edge_litert import schema_py_generated as schema

    types = {value: name.lower() for name, value in vars(schema.TensorType).items()}
    for number, graph in enumerate(model.subgraphs):
        for tensor in graph.tensors:
            data, shape = model.buffers[tensor.buffer].data, tensor.shape
            if data is not None and len(data) and shape is not None and len(shape):
                yield number, tensor, types[tensor.type], data


def name_signature(path: Path, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> None:
    """Rename the inputs and outputs in the signature of a TFLite file, in place.

    Args:
        path: The file; it has one signature.
        inputs: Present name to the name to give.
        outputs: The same of the outputs.

    Raises:
        BuildError: It has another number of signatures, or lacks a name.
    """
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(path))
    signatures = model.signatureDefs or []
    if len(signatures) != 1:
        raise BuildError(f"{path.name} has {len(signatures)} signatures; it must have one")
    for entries, names in ((signatures[0].inputs, inputs), (signatures[0].outputs, outputs)):
        present = [entry.name.decode() for entry in entries]
        if set(present) != set(names):
            raise BuildError(f"the signature of {path.name} names {present}, not {list(names)}")
        for entry, name in zip(entries, present, strict=True):
            entry.name = names[name].encode()
    flatbuffer_utils.write_model(model, str(path))


def with_signature(model: Any, inputs: Sequence[str], outputs: Sequence[str]) -> Any:
    """Give a parsed TFLite model that has no signature one, naming its tensors in order.

    Args:
        model: A ``ModelT`` of ``ai_edge_litert.tools.flatbuffer_utils``; changed in place.
        inputs: Names in the order of the file's inputs.
        outputs: The same of its outputs.
    """
    from ai_edge_litert import schema_py_generated as schema

    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SIGNATURE.encode(), 0
    graph = model.subgraphs[0]
    signature.inputs = _tensor_maps(inputs, graph.inputs)
    signature.outputs = _tensor_maps(outputs, graph.outputs)
    model.signatureDefs = [signature]
    return model


def _tensor_maps(names: Sequence[str], indices: Sequence[int]) -> list[Any]:
    from ai_edge_litert import schema_py_generated as schema

    maps = []
    for name, index in zip(names, indices, strict=True):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name.encode(), index
        maps.append(entry)
    return maps


def details_of(interpreter: Any) -> tuple[Any, Any]:
    """Details of input and output tensors by name in the signature; lists where there is none."""
    signatures = interpreter.get_signature_list()
    if not signatures:
        return interpreter.get_input_details(), interpreter.get_output_details()
    key = SIGNATURE if SIGNATURE in signatures else next(iter(signatures))
    runner = interpreter.get_signature_runner(key)
    return runner.get_input_details(), runner.get_output_details()


def _matched(
    specs: Sequence[TensorSpec], details: dict[str, Any] | list[Any], path: Path, kind: str
) -> list[tuple[TensorSpec, Any]]:
    if isinstance(details, dict):
        missing = [spec.name for spec in specs if spec.name not in details]
        if missing:
            raise BuildError(
                f"{path.name} has no {kind} '{missing[0]}' in its signature, but "
                f"{', '.join(details)}"
            )
        return [(spec, details[spec.name]) for spec in specs]
    if len(details) != len(specs):
        raise BuildError(f"{path.name} has {len(details)} {kind}s, not {len(specs)}")
    return list(zip(specs, details, strict=True))


def _returned(dtype: str) -> str:
    """The dtype of an output as sessions return it: no half precision."""
    return "float32" if dtype in ("float16", "bfloat16") else dtype
