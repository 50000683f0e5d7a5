"""Rank the layers of a module by what quantising each alone does to the outputs."""

import copy
from collections.abc import Sequence

from torch import Tensor

from hamerspace.backends._sensitivity import Run, rank
from hamerspace.backends.pytorch.quantize import quantizable_layers, quantize_one, slow_attention
from hamerspace.tasks.model import Arrays
from hamerspace.tasks.torch_module import NamedModule


def rank_layers(
    module: NamedModule,
    kind: str,
    example: tuple[Tensor, ...],
    batches: Sequence[Arrays],
) -> list[tuple[str, float]]:
    """Return name and error of each layer, the most sensitive first; see ``_sensitivity``.

    Raises:
        BuildError: There is no layer to quantise.
    """

    def quantize_only(layer: str) -> Run:
        return quantize_one(copy.deepcopy(module), kind, example, batches, layer).run

    with slow_attention():
        expected = [module.run(batch) for batch in batches]
        return rank(quantizable_layers(module, kind), expected, batches, quantize_only)
