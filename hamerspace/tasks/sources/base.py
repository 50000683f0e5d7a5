"""The contract of a source format, and what all formats share."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hamerspace.config.study import ONLY_INPUT
from hamerspace.errors import DataError, SourceError
from hamerspace.tasks.inputs import array_problems, name_problems
from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo, TensorSpec


@dataclass(frozen=True)
class SourceSpec:
    """What a study file says about its source model.

    Attributes:
        format: A name of the registry, or ``None`` to let the file tell.
        path: A model file, or ``None`` where a builder makes the module.
        builder: ``module:function`` that returns a ``torch.nn.Module``.
        weights: Weights for the builder.
        root: Folder of the study file; relative paths start there.
        inputs: Shapes where no data tell them.
        trust_pickle: Whether a pickle, which can run any code, may be loaded.
        constants: Names of inputs without rows.
        batch_size: Rows of a batch, where the example has more.
    """

    format: str | None
    path: Path | None
    builder: str | None
    weights: Path | None
    root: Path
    inputs: tuple[TensorSpec, ...] = ()
    trust_pickle: bool = False
    constants: tuple[str, ...] = ()
    batch_size: int | None = None

    @property
    def file(self) -> Path:
        """The model file, resolved against the root.

        Raises:
            SourceError: It is missing, empty or a folder.
        """
        return checked_file(self.located("a model file"), "task.source.path")

    def located(self, what: str) -> Path:
        """The path, resolved against the root, of what a format needs.

        Raises:
            SourceError: The study names none.
        """
        if self.path is None:
            raise SourceError(f"task.source: this format needs 'path', {what}")
        return self.root / self.path


class SourceFormat(ABC):
    """Reads source models of one format."""

    name: str

    @abstractmethod
    def open(
        self, spec: SourceSpec, example: Arrays | None, folder: Path
    ) -> tuple[ModelArtifact, SourceInfo]:
        """Copy the model's files into ``folder``, run it once and inspect it.

        Args:
            spec: What the study file says.
            example: A batch of inputs by name, or more rows; without it, random inputs of the
                declared shapes.
            folder: An empty folder.

        Returns:
            The artifact, its manifest saved, and what was found.

        Raises:
            SourceError: The model cannot be read, or is refused.
            DataError: The model and the example do not fit.
        """


def checked_file(path: Path, key: str) -> Path:
    """Return ``path`` where it is a file with content.

    Raises:
        SourceError: It is missing, a folder, or empty.
    """
    if path.is_dir():
        raise SourceError(f"{key}: {path} is a folder; name the model file in it")
    if not path.is_file():
        raise SourceError(f"{key}: {path} does not exist; relative paths start at the study file")
    if path.stat().st_size == 0:
        raise SourceError(f"{key}: {path} is empty; export or copy the model again")
    return path


def check_names(given: Collection[str], wanted: Sequence[str], required: Sequence[str]) -> None:
    """Check that the data have the model's inputs.

    Args:
        given: Names of the data's arrays, without the labels.
        wanted: Names of the inputs that the model knows.
        required: Those that it cannot do without.

    Raises:
        DataError: They do not fit; with one line for each that is missing, or for each too many.
    """
    problems = list(name_problems(given, wanted, required))
    if problems:
        raise DataError("\n".join(problems))


def check_example(example: Arrays, declared: Sequence[TensorSpec], spec: SourceSpec) -> None:
    """Check the data against the inputs that a file declares, before the model is run.

    Raises:
        DataError: With one line for each misfit of a name, a dtype or the shape of a row.
    """
    names = [t.name for t in declared]
    check_names(example.keys(), names, [n for n in names if n not in spec.constants])
    problems = [
        f"array '{t.name}': {problem}"
        for t in declared
        # An input without a first dimension is refused for that, once the model has run.
        if t.shape and t.name in example
        for problem in array_problems(
            example[t.name], replace(t, constant=t.name in spec.constants)
        )
    ]
    if problems:
        raise DataError("\n".join(problems))


def named(specs: Sequence[TensorSpec], wanted: Sequence[str]) -> tuple[TensorSpec, ...]:
    """The specifications, with the model's own name for one that is declared as the only input.

    Args:
        specs: Declared shapes; a lone one may be named :data:`ONLY_INPUT`.
        wanted: Names of the inputs that the model cannot do without.

    Raises:
        DataError: The model has more inputs than one.
    """
    if [spec.name for spec in specs] != [ONLY_INPUT]:
        return tuple(specs)
    if len(wanted) != 1:
        raise DataError(
            f"one shape is given without a name, but the model takes {_listed(wanted)}; "
            "give a shape for each, by name"
        )
    return (replace(specs[0], name=wanted[0]),)


def as_declared(
    specs: Sequence[TensorSpec], declared: Sequence[TensorSpec]
) -> tuple[TensorSpec, ...]:
    """The model's inputs with the sizes that a study gives where the model leaves them free.

    Args:
        specs: What inspection found; the first dimension stays as it is.
        declared: Shapes that the study gives.
    """
    given = {spec.name: spec.shape for spec in named(declared, [spec.name for spec in specs])}
    return tuple(
        replace(spec, shape=(*spec.shape[:1], *map(_size, spec.shape[1:], given[spec.name][1:])))
        if len(given.get(spec.name, ())) == len(spec.shape)
        else spec
        for spec in specs
    )


def _size(found: int | None, declared: int | None) -> int | None:
    return declared if found is None else found


def sample(specs: Sequence[TensorSpec]) -> Arrays:
    """One row of seeded random inputs of the declared shapes, or as many as are fixed."""
    rng = np.random.default_rng(0)
    return {t.name: t.sample((t.shape and t.shape[0]) or 1, rng) for t in specs}


def sound(weights: npt.NDArray[Any]) -> bool:
    """Whether weights can be those of a working model.

    NaN cannot. Minus infinity is what masks are filled with, and so is plus infinity alone or
    among zeros; among other numbers it is what is left of a training that diverged.
    """
    if weights.dtype.kind != "f":
        return True
    finite = weights[np.isfinite(weights)]
    diverged = bool(finite.any()) and bool(np.isposinf(weights).any())
    return not bool(np.isnan(weights).any()) and not diverged


def describe(arrays: Arrays) -> str:
    """Names, dtypes and shapes, such as ``image: float32[4, 1, 28, 28]``."""
    return ", ".join(str(TensorSpec(n, str(a.dtype), a.shape)) for n, a in arrays.items())


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "none"
