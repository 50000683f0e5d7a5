"""Where candidates are measured."""

from hamerspace._registry import Registry
from hamerspace.targets.base import Target
from hamerspace.targets.measurer import Measurer

TARGETS: Registry[type[Target]] = Registry(
    "target", "hamerspace.targets", {"local": "hamerspace.targets.local:LocalTarget"}
)

__all__ = ["TARGETS", "Measurer", "Target"]
