"""Framework-side techniques, applied in the order of the registry. A new one is one line here."""

from hamerspace._registry import Registry
from hamerspace.compress.base import Technique, TrainingData

TECHNIQUES: Registry[Technique] = Registry(
    "technique",
    "hamerspace.techniques",
    {
        "prune": "hamerspace.compress.pruning:TECHNIQUE",
        "recover": "hamerspace.compress.recovery:TECHNIQUE",
    },
)

__all__ = ["TECHNIQUES", "Technique", "TrainingData"]
