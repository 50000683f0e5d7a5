"""From a loaded model of any format to an artifact and what was found of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy.typing as npt

from hamerspace._text import few
from hamerspace.errors import SourceError
from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo, TensorSpec, by_weights
from hamerspace.tasks.sources.base import SourceSpec, check_example, named, sample, sound
from hamerspace.tasks.sources.probe import probe

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Weights:
    """What the weights of a model come to, as :class:`SourceInfo` has it."""

    parameter_count: int
    size_bytes: int
    weight_dtypes: tuple[str, ...]
    matrices: int

    @classmethod
    def of(cls, arrays: Mapping[str, Array], label: Any) -> Self:
        """Those of named arrays.

        Raises:
            SourceError: One of them cannot be a working model's; names the model by ``label``.
        """
        refuse_unsound([name for name, array in arrays.items() if not sound(array)], label)
        values = list(arrays.values())
        return cls(
            sum(a.size for a in values),
            sum(a.nbytes for a in values),
            by_weights((str(a.dtype), a.size) for a in values if a.ndim),
            sum(a.ndim > 1 for a in values),
        )


@dataclass(frozen=True)
class LoadedModel:
    """A loaded model with what its format tells about it.

    Attributes:
        label: Names the model in messages.
        run: Maps named arrays to named arrays.
        weights: What they come to.
        metadata: Of the artifact.
        families: Operator families.
        inputs: As the file declares them, in call order; empty where it does not.
        rows: The batch size that is declared elsewhere.
        details: Of the :class:`SourceInfo`.
    """

    label: str
    run: Callable[[Arrays], Mapping[str, Array]]
    weights: Weights
    metadata: Mapping[str, Any]
    families: tuple[str, ...] = ()
    inputs: tuple[TensorSpec, ...] = ()
    rows: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


def inspect_model(
    format_name: str,
    model: LoadedModel,
    spec: SourceSpec,
    example: Arrays | None,
    folder: Path,
    arrays: Arrays | None = None,
) -> tuple[ModelArtifact, SourceInfo]:
    """Run a model a few times and save the manifest into ``folder``.

    Args:
        format_name: Of the artifact.
        model: As it was loaded.
        spec: What the study file says.
        example: A batch of inputs by name, or more rows.
        folder: Of the artifact; its files are there already.
        arrays: What to run, in call order; default: :func:`fed`.
    """
    with_rows = [t for t in model.inputs if t.name not in spec.constants and t.shape]
    found = probe(
        model.run,
        fed(model.inputs, example, spec) if arrays is None else arrays,
        with_rows[0].shape[0] if with_rows else model.rows,
        model.label,
        given=example is not None,
        constants=spec.constants,
        batch_size=spec.batch_size,
    )
    inputs = found.inputs
    if model.inputs:
        inputs = tuple(_merged(a, b) for a, b in zip(model.inputs, inputs, strict=True))
    artifact = ModelArtifact(folder, format_name, inputs, found.outputs, model.metadata).save()
    return artifact, SourceInfo(
        format=format_name,
        inputs=inputs,
        outputs=found.outputs,
        op_families=model.families,
        dynamic_batch=found.dynamic_batch,
        findings=found.findings,
        details=model.details,
        **vars(model.weights),
    )


def fed(declared: Sequence[TensorSpec], example: Arrays | None, spec: SourceSpec) -> Arrays:
    """The declared inputs as the example has them, or at random; constants that lack are zeros.

    Raises:
        DataError: The example does not fit them.
    """
    if example is not None:
        check_example(example, declared, spec)
        return {t.name: example.get(t.name, t.zeros()) for t in declared}
    varying = [t.name for t in declared if t.name not in spec.constants]
    arrays = sample(named(spec.inputs, varying) or declared)
    return {**arrays, **{t.name: t.zeros() for t in declared if t.name in spec.constants}}


def refuse_unsound(wrong: Sequence[str], label: Any) -> None:
    """Refuse a model by the names of weights with NaN or infinity, where there are any.

    Raises:
        SourceError: With the first of them.
    """
    if wrong:
        names = few([f"'{name}'" for name in wrong])
        raise SourceError(
            f"{label} has weights that are not finite: {names}; train or export it again"
        )


def _merged(declared: TensorSpec, seen: TensorSpec) -> TensorSpec:
    """What ran, with the type that the model declares and the dimensions that it leaves free."""
    if seen.constant or len(declared.shape) != len(seen.shape):
        return replace(seen, dtype=declared.dtype)
    rest = zip(declared.shape[1:], seen.shape[1:], strict=True)
    dims = (seen.shape[0], *(None if d is None else s for d, s in rest))
    return TensorSpec(seen.name, declared.dtype, dims)
