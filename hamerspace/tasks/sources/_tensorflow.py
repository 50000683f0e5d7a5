"""What the TensorFlow formats share: from a function of named tensors to what was found."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from hamerspace.errors import SourceError
from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo, TensorSpec, by_weights
from hamerspace.tasks.sources.base import SourceSpec, check_example, named, sample, sound
from hamerspace.tasks.sources.probe import probe


@dataclass(frozen=True)
class TensorflowModel:
    """A loaded model with what its format tells about it.

    Attributes:
        label: Names the model in messages.
        run: Maps named arrays to named arrays.
        inputs: As the file declares them, in call order.
        weights: Name and array of every weight.
        families: Operator families.
        metadata: Of the artifact.
        details: Of the :class:`SourceInfo`.
    """

    label: str
    run: Callable[[Arrays], Mapping[str, npt.NDArray[Any]]]
    inputs: tuple[TensorSpec, ...]
    weights: Mapping[str, npt.NDArray[Any]]
    families: tuple[str, ...]
    metadata: Mapping[str, Any]
    details: Mapping[str, Any] = field(default_factory=dict)


def inspect_model(
    format_name: str,
    model: TensorflowModel,
    spec: SourceSpec,
    example: Arrays | None,
    folder: Path,
) -> tuple[ModelArtifact, SourceInfo]:
    """Check the weights, run the model once and save the manifest into ``folder``."""
    _check_finite(model)
    declared = model.inputs
    varying = [t for t in declared if t.name not in spec.constants]
    if example is not None:
        check_example(example, declared, spec)
        arrays = {t.name: example.get(t.name, t.zeros()) for t in declared}
    else:
        arrays = dict(sample(named(spec.inputs, [t.name for t in varying]) or declared))
        arrays |= {t.name: t.zeros() for t in declared if t.name in spec.constants}
    found = probe(
        model.run,
        arrays,
        varying[0].shape[0] if varying and varying[0].shape else None,
        model.label,
        given=example is not None,
        constants=spec.constants,
        batch_size=spec.batch_size,
    )
    inputs = tuple(_merged(a, b) for a, b in zip(declared, found.inputs, strict=True))
    artifact = ModelArtifact(folder, format_name, inputs, found.outputs, model.metadata).save()
    return artifact, SourceInfo(
        format=format_name,
        inputs=inputs,
        outputs=found.outputs,
        parameter_count=sum(a.size for a in model.weights.values()),
        size_bytes=sum(a.nbytes for a in model.weights.values()),
        op_families=model.families,
        weight_dtypes=_dtypes(list(model.weights.values())),
        dynamic_batch=found.dynamic_batch,
        findings=found.findings,
        matrices=sum(a.ndim > 1 for a in model.weights.values()),
        details=model.details,
    )


def _check_finite(model: TensorflowModel) -> None:
    wrong = [name for name, array in model.weights.items() if not sound(array)]
    if wrong:
        names = ", ".join(f"'{name}'" for name in wrong[:3])
        raise SourceError(
            f"{model.label} has weights that are not finite: {names}"
            f"{f' and {len(wrong) - 3} more' if len(wrong) > 3 else ''}; train or export it again"
        )


def _merged(declared: TensorSpec, seen: TensorSpec) -> TensorSpec:
    """What ran, with the type that the model declares and the dimensions that it leaves free."""
    if seen.constant or len(declared.shape) != len(seen.shape):
        return replace(seen, dtype=declared.dtype)
    rest = zip(declared.shape[1:], seen.shape[1:], strict=True)
    dims = (seen.shape[0], *(None if d is None else s for d, s in rest))
    return TensorSpec(seen.name, declared.dtype, dims)


def _dtypes(weights: Sequence[npt.NDArray[Any]]) -> tuple[str, ...]:
    return by_weights((str(array.dtype), array.size) for array in weights if array.ndim)
