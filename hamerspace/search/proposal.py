"""What chooses recipes, beside the samplers of Optuna."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from hamerspace.outcome.record import Record
from hamerspace.recipe import Recipe


@dataclass(frozen=True)
class Proposal:
    """A recipe to try.

    Attributes:
        recipe: What to try; no trial has tried it.
        gain: What the best recipe left is expected to add to the hypervolume, over what feasible
            trials dominate; ``None`` where this proposal says nothing of it.
    """

    recipe: Recipe
    gain: float | None = None


class Proposer(Protocol):
    """Chooses what to try next."""

    def propose(self, records: Mapping[int, Record]) -> Proposal | None:
        """What to try next; ``None`` leaves it to the study's sampler.

        Args:
            records: Trial number to what it came to.
        """
        ...
