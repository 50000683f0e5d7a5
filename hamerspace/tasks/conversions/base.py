"""The contract of a conversion between model formats, and how its result is checked."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hamerspace.environments import Requirements
from hamerspace.errors import BuildError
from hamerspace.tasks.channels import differing_channel, unmasked
from hamerspace.tasks.model import Arrays, ModelArtifact, SourceInfo, TensorSpec

if TYPE_CHECKING:
    from hamerspace.tasks.torch_module import NamedModule

RELATIVE_TOLERANCE = 1e-3
"""Largest difference in a channel of an output, as a share of its largest magnitude."""
HALF_TOLERANCE = {"float16": 1 / 64, "bfloat16": 1 / 8}
"""The same between half precision and float32: 16 times the gap between 1 and the next number."""
# What is left of a sum that cancels is rounding of its terms.
_ABSOLUTE_TOLERANCE = 1e-6


class Conversion(Requirements, ABC):
    """One step from a model format to another that means the same.

    Attributes:
        origin: Format of the model that it takes.
        target: Format of the model that it makes.
    """

    origin: str
    target: str

    def refuses(self, source: SourceInfo) -> str | None:  # noqa: ARG002 - for those who override it
        """Why models that come from ``source`` cannot be converted, where that is known before."""
        return None

    @abstractmethod
    def convert(self, model: ModelArtifact, example: Arrays, workdir: Path) -> ModelArtifact:
        """Convert a model and check the result on the example.

        Args:
            model: A model of format :attr:`origin`.
            example: One batch of inputs by name.
            workdir: An empty folder, also the current directory.

        Returns:
            The converted model in ``workdir``, its manifest saved. Names and order of inputs and
            outputs are kept; the batch dimension stays free where it was.

        Raises:
            BuildError: It fails, or the outputs differ.
        """


def check_agreement(
    outputs: Sequence[TensorSpec],
    wanted: Arrays,
    found: Arrays,
    target: str,
    tolerance: float = RELATIVE_TOLERANCE,
) -> None:
    """Compare what a converted model returns with what the model itself returned.

    The tolerance is a share of the scale of the whole tensor, and of each channel in it, see
    :func:`~hamerspace.tasks.channels.differing_channel`: single entries near zero carry rounding
    only.

    Raises:
        BuildError: An output is missing, or differs in shape or value.
    """
    for spec in outputs:
        name = spec.name
        if name not in found:
            raise BuildError(f"output '{name}' is lost in {target}")
        a, b = np.asarray(wanted[name], np.float64), np.asarray(found[name], np.float64)
        if a.shape != b.shape:
            raise BuildError(f"output '{name}' is {list(b.shape)} in {target}, not {list(a.shape)}")
        counted, infinite = unmasked(a), np.isinf(a)
        masked = ~counted & np.isfinite(a)
        if (np.sign(a) != np.sign(b))[infinite].any() or not np.allclose(
            b[masked], a[masked], rtol=tolerance
        ):
            raise BuildError(f"output '{name}' differs in {target} where it is masked or infinite")
        scale = float(np.abs(a[counted]).max(initial=0.0))
        difference = float(np.abs(a[counted] - b[counted]).max(initial=0.0))
        if not difference <= tolerance * scale + _ABSOLUTE_TOLERANCE:
            raise BuildError(
                f"output '{name}' differs in {target} by {difference:.3g}, "
                f"at a scale of {scale:.3g}"
            )
        if a.ndim == 0:
            continue
        rows = spec.row_axis or 0
        half = HALF_TOLERANCE.get(np.asarray(wanted[name]).dtype.name, 0.0)
        channel = differing_channel(
            np.moveaxis(a, rows, 0), np.moveaxis(b, rows, 0), max(tolerance, half)
        )
        if channel is not None:
            raise BuildError(f"output '{name}' differs in {target}: {channel}")


def in_float32(module: "NamedModule", model: ModelArtifact, batch: Arrays) -> "NamedModule":
    """The module, computing in float32 where its weights are of half precision.

    Few runtimes compute in half precision on a processor, and none in bfloat16 as torch does.

    Args:
        module: Loaded from ``model``; changed in place.
        model: Its outputs are compared.
        batch: Inputs by name.

    Raises:
        BuildError: It answers otherwise than rounding explains, or cannot, as TorchScript that
            turns numbers into half precision itself.
    """
    own = module.run(batch)
    dtype = module.widen()
    if dtype is not None:
        tolerance = HALF_TOLERANCE[str(dtype).removeprefix("torch.")]
        try:
            found = module.run(batch)
        except Exception as error:
            raise BuildError(
                f"the model cannot be computed in float32, as it names {dtype} itself: "
                f"{one_line(error)}"
            ) from error
        check_agreement(model.outputs, own, found, "float32", tolerance)
    return module


def one_line(error: Exception, length: int = 500) -> str:
    """The type of an error and the start of its text, for a message of ours."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:length]
