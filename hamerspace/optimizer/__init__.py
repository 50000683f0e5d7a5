"""One call from a model to the best compressed model that can be shipped."""

from hamerspace.optimizer.optimizer import OptimizationGoal, Optimizer
from hamerspace.optimizer.result import OptimizationResult, SavedModel

__all__ = ["OptimizationGoal", "OptimizationResult", "Optimizer", "SavedModel"]
