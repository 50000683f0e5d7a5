"""What a user gives to an :class:`~hamerspace.Optimizer` besides the model, as flags of a study."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypedDict

import numpy.typing as npt

from hamerspace.build.store import Store
from hamerspace.config.flags import StudyFlags
from hamerspace.config.study import ONLY_INPUT
from hamerspace.errors import ConfigError, did_you_mean
from hamerspace.optimizer.digests import function_digest
from hamerspace.optimizer.in_memory import Data, save_data
from hamerspace.tasks.model import TensorSpec
from hamerspace.tasks.user_code import SESSION

InputShapes = Sequence[int | None] | Mapping[str, Any]
"""A shape of the only input, batch first; or name to a shape, or to ``(shape, dtype)``."""

Validate = Callable[[npt.NDArray[Any], npt.NDArray[Any]], Any]
"""``validate(outputs, labels)``: outputs of the judged output ``[N, ...]`` and labels ``[N, ...]``
as arrays, to one number, or to one a row ``[N]``, of which the mean counts."""


class Options(TypedDict, total=False):
    """What every constructor of an optimizer takes by keyword.

    Attributes:
        data: What "good" means: the path of an ``.npz`` file; ``{name: array}``, the labels as
            ``labels``; ``{split: {name: array}}``; or, for a model in memory, ``(inputs, labels)``.
        validate: Judges a model's outputs by the labels.
        direction: Of ``validate`` or of a metric of your own: ``maximize`` (default for
            ``validate``) or ``minimize``.
        metric: A metric's name, or ``module:function``.
        output: Name of the output that is judged; default: the first with an entry for each row.
        batch_size: The deployment batch size; default: that of ``input_shape``, else 1.
        dtype: numpy dtype name of inputs whose shape is given without one; default float32.
        name: Of the study; default: from the model.
        out: Folder of the outputs; default: ``runs/<name>``.
        store: Where build results are kept; default: the user's cache folder.
    """

    data: str | Path | Data
    validate: Validate
    direction: str
    metric: str
    output: str
    batch_size: int
    dtype: str
    name: str
    out: str | Path
    store: Store


def refuse_wrong(options: Options) -> None:
    """Refuse options that say nothing, or two things at once.

    Raises:
        ConfigError: One is unknown, or two contradict each other.
    """
    names = Options.__annotations__
    for name in options:
        if name not in names:
            raise ConfigError(f"unknown option '{name}'{did_you_mean(name, names)}")
    validate = options.get("validate")
    if validate is not None and options.get("metric") is not None:
        raise ConfigError("validate and metric both say what quality means; give one of them")
    if validate is not None and not callable(validate):
        raise ConfigError("validate: give a function of outputs and labels")


def task_flags(
    options: Options, names: Sequence[str], specs: Sequence[TensorSpec], folder: Path
) -> StudyFlags:
    """How a model is judged, as flags of a study.

    Args:
        options: What the user gave.
        names: Of the model's inputs, where they are known.
        specs: Its inputs, as far as they are declared.
        folder: Data in memory are written into it.

    Raises:
        ConfigError: The data are no arrays.
    """
    flags: StudyFlags = {name: options.get(name) for name in ("metric", "direction", "output")}
    validate, data = options.get("validate"), options.get("data")
    if validate is not None:
        flags |= {
            "metric": keep_function(validate),
            "direction": flags["direction"] or "maximize",
        }
    if data is not None and not isinstance(data, str | Path):
        data = save_data(data, names, folder)
    rows = specs[0].shape[0] if specs else None
    return {
        **flags,
        "data": None if data is None else str(data),
        "batch_size": options.get("batch_size") or rows,
    }


def declared_inputs(
    shapes: InputShapes | None, names: Sequence[str], dtype: str
) -> tuple[TensorSpec, ...]:
    """Specifications from shapes as people write them.

    Args:
        shapes: Of the inputs.
        names: Of the model's inputs, where they are known.
        dtype: Where none is given.

    Raises:
        ConfigError: They are no shapes.
    """
    if shapes is None:
        return ()
    if not isinstance(shapes, Mapping):
        if len(names) > 1:
            raise ConfigError(
                f"input_shape: the model takes {', '.join(names)}; give a shape for each, as a dict"
            )
        shapes = {names[0] if names else ONLY_INPUT: shapes}
    return tuple(_spec(name, value, dtype) for name, value in shapes.items())


def _spec(name: str, value: Any, dtype: str) -> TensorSpec:
    pair = isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], str)
    shape, kind = value if pair else (value, dtype)
    try:
        dims = tuple(None if d is None else int(d) for d in shape)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"input_shape: {value!r} is no shape, such as [1, 3, 224, 224]"
        ) from error
    if not dims or any(d is not None and d < 1 for d in dims):
        raise ConfigError(f"input_shape: {list(dims)} has a dimension below 1, or none at all")
    return TensorSpec(name, kind, dims)


def flag_of(spec: TensorSpec) -> str:
    """A declared input as the flag ``--input`` takes it."""
    dims = "x".join("?" if d is None else str(d) for d in spec.shape)
    return f"{spec.name}={dims}:{spec.dtype}"


def keep_function(function: Callable[..., Any]) -> str:
    """A reference ``module:function`` under which this process, and no other, finds a function.

    Its name ends in a digest of what it does, so that another function makes another study.

    Raises:
        ConfigError: See :func:`~hamerspace.optimizer.digests.function_digest`.
    """
    module = sys.modules.setdefault(SESSION, ModuleType(SESSION))
    plain = "".join(c for c in getattr(function, "__name__", "") if c.isalnum() or c == "_")
    name = f"{plain if plain.isidentifier() else 'function'}_{function_digest(function)}"
    setattr(module, name, function)
    return f"{SESSION}:{name}"
