"""Framework-side techniques, applied in the order of the registry. A new one is one line here."""

from hamerspace._registry import Registry
from hamerspace.compress.base import Technique, TechniqueJob, TrainingData

TECHNIQUES: Registry[Technique] = Registry(
    "technique",
    "hamerspace.techniques",
    {
        "student": "hamerspace.compress.student:TECHNIQUE",
        "prune": "hamerspace.compress.pruning:TECHNIQUE",
        "sparsify": "hamerspace.compress.sparsifying:TECHNIQUE",
        "recover": "hamerspace.compress.recovery:TECHNIQUE",
        "qat": "hamerspace.compress.qat:TECHNIQUE",
    },
)

__all__ = ["TECHNIQUES", "Technique", "TechniqueJob", "TrainingData"]
