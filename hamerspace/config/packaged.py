"""What comes with Hamerspace beside its code: search spaces and an example study."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]

EXAMPLES = ("fashion_mnist",)
"""The studies that a wheel holds. They need neither the network nor a build step."""


def packaged_spaces() -> dict[str, Path]:
    """Name to file of every space that comes along."""
    folder = _folder("_search_spaces", "search_spaces")
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def packaged_examples() -> dict[str, Path]:
    """Name to folder of every example study that comes along."""
    folder = _folder("_studies", "studies")
    return {name: folder / name for name in EXAMPLES if (folder / name).is_dir()}


def _folder(installed: str, checkout: str) -> Path:
    """In the installed package, or in the checkout that the package is run from."""
    folder = _PACKAGE / installed
    return folder if folder.is_dir() else _PACKAGE.parent / checkout
