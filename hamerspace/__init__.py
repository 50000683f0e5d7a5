"""Search the ways to compress a neural network, by measuring each on the target.

Names are loaded on first use: ``import hamerspace`` imports no framework.
"""

import importlib
from typing import TYPE_CHECKING, Any

from hamerspace._version import __version__

if TYPE_CHECKING:
    from hamerspace.constraints import Constraints
    from hamerspace.errors import HamerspaceError
    from hamerspace.optimizer import OptimizationGoal, OptimizationResult, Optimizer
    from hamerspace.quantities import Objective
    from hamerspace.recipe import Recipe
    from hamerspace.study import Study

_EXPORTS = {
    "Constraints": "hamerspace.constraints",
    "HamerspaceError": "hamerspace.errors",
    "Objective": "hamerspace.quantities",
    "OptimizationGoal": "hamerspace.optimizer",
    "OptimizationResult": "hamerspace.optimizer",
    "Optimizer": "hamerspace.optimizer",
    "Recipe": "hamerspace.recipe",
    "Study": "hamerspace.study",
}

__all__ = [
    "Constraints",
    "HamerspaceError",
    "Objective",
    "OptimizationGoal",
    "OptimizationResult",
    "Optimizer",
    "Recipe",
    "Study",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'hamerspace' has no attribute '{name}'")
    return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
