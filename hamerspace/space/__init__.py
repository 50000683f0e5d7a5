"""Search spaces: from a declaration to suggestions, recipes and their number."""

from hamerspace.space.assemble import assemble_space
from hamerspace.space.catalog import (
    choose_space,
    find_space_file,
    list_space_files,
    space_texts,
)
from hamerspace.space.space import Space

__all__ = [
    "Space",
    "assemble_space",
    "choose_space",
    "find_space_file",
    "list_space_files",
    "space_texts",
]
