"""Estimate the statistics of batch normalisation anew, for weights that have changed."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from hamerspace.compress._rows import TrainingRows
from hamerspace.errors import BuildError
from hamerspace.tasks.torch_module import NamedModule

_BatchNorm = nn.modules.batchnorm._BatchNorm  # noqa: SLF001 - the common base of all batch norms


def keeps_statistics(module: nn.Module) -> bool:
    """Whether there are running means and variances in it."""
    return any(isinstance(m, _BatchNorm) and m.track_running_stats for m in module.modules())


def reestimate(module: NamedModule, rows: TrainingRows, seed: int) -> None:
    """Replace running means and variances by cumulative averages over one pass, in place.

    Args:
        module: Loaded for inference; it is in inference mode again afterwards, and in float32.
        rows: The train split.
        seed: Of the order of the rows.

    Raises:
        BuildError: The module keeps no such statistics.
    """
    if not keeps_statistics(module):
        raise BuildError(
            "recover.method bn needs batch normalisation, and this model keeps no statistics of "
            "it; choose finetune or distill"
        )
    module.widen()
    order = np.random.default_rng(seed)
    with torch.no_grad():
        # It passes the first of a list.
        update_bn(([rows.inputs(indices)] for indices in rows.permuted(order)), _Alone(module))
    module.inner.eval()


class _Alone(nn.Module):
    """Trains nothing but batch normalisation: dropout would widen the variances."""

    def __init__(self, module: NamedModule) -> None:
        super().__init__()
        self.module = module

    def train(self, mode: bool = True) -> "_Alone":
        for child in self.module.modules():
            if isinstance(child, _BatchNorm):
                child.train(mode)
        return self

    def forward(self, inputs: tuple[Tensor, ...]) -> Any:
        return self.module(*inputs)
