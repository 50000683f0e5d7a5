"""What a build found of its model's layers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hamerspace.build.jobs import RANKING_FILE
from hamerspace.recipe import Recipe, Scalar


@dataclass(frozen=True)
class Ranking:
    """The layers of a model by what quantising each alone does to its outputs.

    Attributes:
        key: The store's key; recipes that share the model and the scheme share it.
        parameters: Those of a recipe that decide it: the techniques', the backend, the scheme.
        layers: Layer and error, the most sensitive first. The error is the mean squared difference
            of the outputs over their mean square.
    """

    key: str
    parameters: Mapping[str, Scalar]
    layers: tuple[tuple[str, float], ...]


def read_layers(entry: Path) -> list[tuple[str, float]]:
    """Layer and error of the ranking in an entry of the store.

    Raises:
        FileNotFoundError: Another process evicted it just now.
    """
    found = json.loads((entry / RANKING_FILE).read_text())
    return [(of["layer"], float(of["error"])) for of in found]


def read_ranking(entry: Path, key: str, recipe: Recipe, scheme: Mapping[str, Scalar]) -> Ranking:
    """The ranking in an entry of the store.

    Args:
        entry: Folder of the entry, which is held.
        key: Its key.
        recipe: One that needed it.
        scheme: What the ranking got of the backend's parameters, without the backend's prefix.
    """
    own = f"{recipe.backend}."
    parameters = {n: v for n, v in recipe.parameters.items() if not n.startswith(own)}
    parameters |= {own + name: value for name, value in scheme.items()}
    return Ranking(key, parameters, tuple(read_layers(entry)))
