"""The rankings of layers that the trials of a run needed, kept where its report finds them.

The store holds them too, but it drops what nobody has used for long.
"""

from hamerspace.build.ranking import Ranking
from hamerspace.search.run_folder import RunFolder

RANKINGS_FILE = "sensitivity.json"


def keep_ranking(folder: RunFolder, ranking: Ranking) -> None:
    """Add ``ranking`` to the run's file, unless it is there already."""
    kept = folder.read(RANKINGS_FILE) or {}
    if ranking.key not in kept:
        layers = [{"layer": layer, "error": error} for layer, error in ranking.layers]
        entry = {"parameters": dict(ranking.parameters), "layers": layers}
        folder.write(RANKINGS_FILE, {**kept, ranking.key: entry})


def kept_rankings(folder: RunFolder) -> list[Ranking]:
    """The rankings in the run's file, in the order in which trials came to need them."""
    return [
        Ranking(
            key,
            entry["parameters"],
            tuple((value["layer"], value["error"]) for value in entry["layers"]),
        )
        for key, entry in (folder.read(RANKINGS_FILE) or {}).items()
    ]
