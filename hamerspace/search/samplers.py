"""What chooses the recipes of a study: our own proposer, or one of Optuna's samplers."""

import secrets
from collections.abc import Callable
from importlib.util import find_spec

from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from hamerspace.config.study import MOST_SEED, OWN_SAMPLERS
from hamerspace.errors import ConfigError
from hamerspace.search.goal import Goal
from hamerspace.search.proposal import Proposer
from hamerspace.search.surrogate.costs import Stages
from hamerspace.space.space import Space

SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    # Our own proposer names whole recipes, and Optuna only notes them.
    **dict.fromkeys((*OWN_SAMPLERS, "random"), lambda seed: RandomSampler(seed=seed)),
    # Grouping fits conditional spaces; multivariate sees that choices belong together.
    "tpe": lambda seed: TPESampler(seed=seed, multivariate=True, group=True),
    "nsgaii": lambda seed: NSGAIISampler(seed=seed, population_size=20),
    "gp": lambda seed: GPSampler(seed=seed),
}


def own_seed() -> int:
    """A seed of this process, where others search with the same trials and the same study."""
    return secrets.randbits(32)


def make_sampler(name: str, seed: int) -> BaseSampler:
    """Optuna's side of the named sampler.

    A seed that grew with the trials beyond the greatest starts from 0 again.

    Raises:
        ConfigError: It needs a package that is not installed.
    """
    if name == "gp" and find_spec("torch") is None:
        raise ConfigError("sampler 'gp' needs PyTorch; pip install 'hamerspace[pytorch]'")
    return SAMPLERS[name](seed % (MOST_SEED + 1))


def make_proposer(
    name: str, space: Space, goal: Goal, stages: Stages, seed: int, *, shared: bool = False
) -> Proposer | None:
    """What names whole recipes, where the named sampler is our own; else ``None``.

    Args:
        name: Of the sampler; ``auto`` is our own, which did best on the tables of measurements.
        space: What is searched.
        goal: What is improved and kept.
        stages: Knows how recipes are built.
        seed: Of the draws.
        shared: Whether other processes search with the same trials: then each draws from the best
            few, so that they do not all try the same.
    """
    if name not in OWN_SAMPLERS:
        return None
    # It imports scipy, which whoever only looks at a study does without.
    from hamerspace.search.surrogate.proposer import Settings, Surrogate

    settings = Settings(drawn_from=8) if shared else Settings()
    return Surrogate(space, goal, stages, seed, settings)
