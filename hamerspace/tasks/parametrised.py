"""Weights that a module computes from others, such as those of weight normalisation."""

from torch import nn
from torch.nn.utils import parametrize, prune
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm


def fold(module: nn.Module) -> None:
    """Replace every computed weight by its value as a plain parameter, in place.

    Those of ``torch.nn.utils.parametrize`` and those of hooks: ``weight_norm``, ``spectral_norm``
    and ``prune``. Outputs are unchanged, as inference computes the same value every time.

    Args:
        module: In inference mode.
    """
    for child in list(module.modules()):
        if parametrize.is_parametrized(child):
            for name in list(child.parametrizations):  # type: ignore[arg-type]
                parametrize.remove_parametrizations(child, name)
        for hook in list(child._forward_pre_hooks.values()):  # noqa: SLF001 - torch keeps them nowhere else
            if isinstance(hook, WeightNorm):
                nn.utils.remove_weight_norm(child, hook.name)
            elif isinstance(hook, SpectralNorm):
                nn.utils.remove_spectral_norm(child, hook.name)
            elif isinstance(hook, prune.BasePruningMethod):
                prune.remove(child, hook._tensor_name)  # type: ignore[no-untyped-call]  # noqa: SLF001
