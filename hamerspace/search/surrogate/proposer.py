"""Propose the recipe that is expected to add most to the front for the time that it takes."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from threadpoolctl import ThreadpoolController

from hamerspace.outcome.record import Record
from hamerspace.recipe import Recipe
from hamerspace.search.goal import Goal
from hamerspace.search.proposal import Proposal
from hamerspace.search.surrogate.costs import Stages, expected_seconds
from hamerspace.search.surrogate.features import Encoder, Floats
from hamerspace.search.surrogate.gain import dominated_share, expected_gain
from hamerspace.search.surrogate.mixed_precision import MixedPrecision
from hamerspace.search.surrogate.models import Forecast, Models
from hamerspace.search.surrogate.pool import Pool
from hamerspace.space.space import Space

_SHORTLIST = 128
_NOTHING = 1e-9


@dataclass(frozen=True)
class Settings:
    """How things are weighed; the defaults were tried on tables of measurements.

    Attributes:
        cost_exponent: Gains are divided by the expected seconds to this power.
        tune_growth: Hyperparameters are chosen anew when the trials have grown by this factor.
        trials_a_fit: For each so many trials, one proposal more is made of one fit.
        drawn_from: At least so many proposals are made of one fit; one of them, drawn at random,
            is the next.
    """

    cost_exponent: float = 0.25
    tune_growth: float = 1.2
    trials_a_fit: int = 50
    drawn_from: int = 1


class Surrogate:
    """Learns what recipes come to, and proposes one that was not tried.

    Args:
        space: What is searched.
        goal: What is improved and kept.
        stages: Knows how recipes are built.
        seed: Of the draws.
        settings: How things are weighed.
    """

    def __init__(
        self,
        space: Space,
        goal: Goal,
        stages: Stages,
        seed: int,
        settings: Settings | None = None,
    ) -> None:
        self._settings = settings or Settings()
        self._stages = stages
        self._mixed = MixedPrecision(space, goal, stages)
        encoder = Encoder(space)
        self._pool = Pool(space, encoder, seed)
        self._models = Models(encoder, goal, self._settings.tune_growth)
        self._random = random.Random(seed)  # noqa: S311 - not for secrets
        self._waiting: list[Proposal] = []
        # Matrices of a few hundred rows take longer with more threads than with one.
        self._threads = ThreadpoolController()

    def propose(self, records: Mapping[int, Record]) -> Proposal | None:
        """What to try next; ``None`` where every recipe was tried."""
        known = [record for record in records.values() if record.reused_from is None]
        tried = {record.recipe.id for record in known}
        self._waiting = [p for p in self._waiting if p.recipe.id not in tried]
        if not self._waiting:
            mixed = self._mixed.propose(records) if self._settings.drawn_from == 1 else None
            if mixed is not None:
                return Proposal(mixed)
            with self._threads.limit(limits=1, user_api="blas"):
                self._waiting = self._choose(known, tried)
            if self._settings.drawn_from > 1:
                gain = self._waiting[0].gain if self._waiting else None
                drawn = self._random.sample(self._waiting, min(len(self._waiting), 1))
                self._waiting = [Proposal(proposal.recipe, gain) for proposal in drawn]
        return self._waiting[0] if self._waiting else None

    def _choose(self, records: Sequence[Record], tried: set[str]) -> list[Proposal]:
        members, front = self._models.front(records)
        recipes, rows = self._pool.untried(tried, members)
        if not recipes or not records:
            return [Proposal(recipe) for recipe in recipes[:1]]
        self._models.learn(records)
        forecast = self._models.forecast(rows)
        gains = _gains(forecast, front)
        best = self._shortlist(recipes, np.argsort(-gains).tolist())
        shortlist = [recipes[index] for index in best]
        settings = self._settings
        count = max(1 + len(records) // settings.trials_a_fit, settings.drawn_from)
        dear = self._dear(shortlist, records)
        return _greedily(shortlist, forecast.of(np.array(best)), front, dear, count)

    def _shortlist(self, recipes: Sequence[Recipe], order: Iterable[int]) -> list[int]:
        """The first of them in this order, less what is known to fail while anything else is."""
        hopeful = (index for index in order if not self._stages.known_to_fail(recipes[index]))
        return list(islice(hopeful, _SHORTLIST)) or list(islice(order, _SHORTLIST))

    def _dear(self, recipes: Sequence[Recipe], records: Sequence[Record]) -> Floats:
        """What gains are divided by, ``[recipes]``."""
        seconds = expected_seconds(recipes, records, self._stages)
        found: Floats = np.array(seconds) ** self._settings.cost_exponent
        return found


def _greedily(
    recipes: Sequence[Recipe], forecast: Forecast, front: Floats, dear: Floats, count: int
) -> list[Proposal]:
    """Take the best, count it as if it had come out as expected, and so on.

    Only the first tells of the gain that is left: the others' rests on what is not measured yet.
    """
    chosen: list[Proposal] = []
    taken = np.zeros(len(recipes), dtype=bool)
    share = dominated_share(front, forecast.low, forecast.high)
    for _ in range(min(count, len(recipes))):
        gains = np.where(taken, -1.0, _gains(forecast, front))
        index = int(np.argmax(np.where(taken, -np.inf, gains / dear)))
        taken[index] = True
        left = None if chosen else float(gains.max()) / max(share, _NOTHING)
        chosen.append(Proposal(recipes[index], left))
        front = np.vstack([front, forecast.means[index]])
    return chosen


def _gains(forecast: Forecast, front: Floats) -> Floats:
    """Share of the box that recipes are expected to add.

    Where nothing is expected to add anything, what is nearest to it comes first.
    """
    gains = forecast.chance * expected_gain(
        forecast.means, forecast.deviations, front, forecast.low, forecast.high
    )
    if gains.max(initial=0.0) > _NOTHING:
        return gains
    short = (forecast.means - forecast.deviations - forecast.high).clip(min=0.0).sum(axis=1)
    found: Floats = _NOTHING * forecast.chance / (1.0 + short)
    return found
