"""Optuna's samplers, set for conditional spaces with constraints and several objectives."""

from collections.abc import Callable
from importlib.util import find_spec

from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from hamerspace.errors import ConfigError


def _tpe(seed: int) -> BaseSampler:
    # Grouping fits conditional spaces; multivariate sees that choices belong together.
    return TPESampler(seed=seed, multivariate=True, group=True)


SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "auto": _tpe,
    "tpe": _tpe,
    "nsgaii": lambda seed: NSGAIISampler(seed=seed, population_size=20),
    "gp": lambda seed: GPSampler(seed=seed),
    "random": lambda seed: RandomSampler(seed=seed),
}


def make_sampler(name: str, seed: int) -> BaseSampler:
    """The named sampler; ``auto`` is the one that did best on conditional spaces.

    Raises:
        ConfigError: It needs a package that is not installed.
    """
    if name == "gp" and find_spec("torch") is None:
        raise ConfigError("sampler 'gp' needs PyTorch; pip install 'hamerspace[pytorch]'")
    return SAMPLERS[name](seed)
