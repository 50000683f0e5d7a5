"""Search spaces: from a declaration to suggestions, recipes and their number."""

from hamerspace.space.assemble import assemble_space
from hamerspace.space.catalog import (
    ARM_MACHINES,
    choose_space,
    find_space_file,
    space_texts,
)
from hamerspace.space.goals import narrow, refuse_idle_goal
from hamerspace.space.space import Space

__all__ = [
    "ARM_MACHINES",
    "Space",
    "assemble_space",
    "choose_space",
    "find_space_file",
    "narrow",
    "refuse_idle_goal",
    "space_texts",
]
