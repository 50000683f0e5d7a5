"""Source models that are TFLite files, quantised ones included."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.tools import flatbuffer_utils

from hamerspace.errors import BuildError, SourceError
from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo, TensorSpec, by_weights
from hamerspace.tasks.sources.base import SourceFormat, SourceSpec
from hamerspace.tasks.sources.inspection import LoadedModel, Weights, inspect_model
from hamerspace.tasks.sources.op_families import tflite_families
from hamerspace.tasks.tflite import (
    SIGNATURE,
    TfliteModel,
    constants_of,
    details_of,
    weights_by_type,
)

_FILE = "model.tflite"
_OPERATORS = {
    value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")
}
_INTEGERS = {"int8", "uint8", "int4", "int2", "int16"}
_OPAQUE = {"string", "resource", "variant", "int4", "int2"}
"""Types whose bytes are not their values."""


class TfliteSource(SourceFormat):
    """A ``.tflite`` file, measured as it is.

    Names are those of its signature; without one, those of its tensors, less what the converter
    added. ``details["quantized"]`` tells whether its weights are integers.
    """

    name = "tflite"

    def open(
        self, spec: SourceSpec, example: Arrays | None, folder: Path
    ) -> tuple[ModelArtifact, SourceInfo]:
        path = spec.file
        file = folder / _FILE
        shutil.copyfile(path, file)
        inputs, outputs = _interface(file)
        model = flatbuffer_utils.read_model(str(file))
        try:
            loaded = TfliteModel(file, inputs, outputs)
        except BuildError as error:
            raise SourceError(f"{file}: {error}") from error
        constants = list(_constants(model))
        found = LoadedModel(
            label=str(path),
            run=loaded.run,
            inputs=inputs,
            weights=Weights.of({name: array for name, _, array in constants}, path),
            families=tflite_families(_operators(model)),
            metadata={"model": _FILE},
            details={
                "operators": sorted(_operators(model)),
                "quantized": any(quantized for _, quantized, _ in constants),
            },
        )
        artifact, info = inspect_model(self.name, found, spec, example, folder)
        # Values of less than a byte stay packed above.
        dtypes = by_weights(weights_by_type(model).items())
        return artifact, replace(info, weight_dtypes=dtypes or info.weight_dtypes)


def _interface(file: Path) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Inputs and outputs as the file declares them."""
    try:
        inputs, outputs = details_of(Interpreter(model_path=str(file)))
    except (RuntimeError, ValueError) as error:
        text = " ".join(str(error).split())
        raise SourceError(
            f"{file} cannot be loaded by LiteRT ({text[:200]}); it is damaged, truncated, or needs "
            "operators that are not built in; convert it again"
        ) from error
    return _specs(inputs), _specs(outputs)


def _plain(name: str) -> str:
    return name.removeprefix(f"{SIGNATURE}_").removesuffix(":0")


def _specs(details: Any) -> tuple[TensorSpec, ...]:
    """Of details by name, or of those of tensors."""
    if not isinstance(details, dict):
        details = {_plain(detail["name"]): detail for detail in details}
    specs = []
    for name, detail in details.items():
        declared = detail.get("shape_signature", detail["shape"])
        declared = declared if len(declared) else detail["shape"]
        shape = tuple(None if d < 0 else int(d) for d in declared)
        specs.append(TensorSpec(name, np.dtype(detail["dtype"]).name, shape))
    return tuple(specs)


def _operators(model: Any) -> set[str]:
    """Names of the operators, such as ``CONV_2D``."""
    codes = (max(c.builtinCode, c.deprecatedBuiltinCode) for c in model.operatorCodes)
    return {_OPERATORS.get(code, "CUSTOM") for code in codes}


def _constants(model: Any) -> Iterator[tuple[str, bool, npt.NDArray[Any]]]:
    """Name of each constant of more than one value, whether it is quantised, and its values.

    Values of less than a byte stay packed.
    """
    for number, tensor, dtype, data in constants_of(model):
        scaled = tensor.quantization is not None and tensor.quantization.scale is not None
        raw = np.frombuffer(bytes(data), np.uint8)
        if dtype not in _OPAQUE:
            raw = raw.view(np.dtype(dtype))
        yield f"{number}/{tensor.name.decode()}", scaled and dtype in _INTEGERS, raw
