"""Tool environments: virtual environments of their own for tools whose dependencies clash.

``hamerspace backends install NAME`` makes one in the user's data folder. Build jobs and measuring
processes that need it run on its interpreter, which imports this very Hamerspace, but none of the
packages installed beside it.
"""

from hamerspace.environments.base import (
    ENVIRONMENTS,
    Environment,
    data_folder,
    environment_python,
    environment_versions,
    install_hint,
)
from hamerspace.environments.requirements import Requirements, installed_versions

__all__ = [
    "ENVIRONMENTS",
    "Environment",
    "Requirements",
    "data_folder",
    "environment_python",
    "environment_versions",
    "install_hint",
    "installed_versions",
]
