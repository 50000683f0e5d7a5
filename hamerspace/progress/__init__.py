"""How a search goes on: who is told, the count that displays share, and the one for notebooks.

The displays for terminals are a part of the command line.
"""

from hamerspace.progress.count import Progress
from hamerspace.progress.listener import listening
from hamerspace.search.loop import StudyListener

__all__ = ["Progress", "StudyListener", "listening"]
