"""What a finished search has to say: tables, figures and one self-contained HTML page.

Everything here works on :class:`~hamerspace.report.run_data.RunData`, plain values that whoever
ran the search fills in; no study, database or runtime is needed to draw a report.
"""

from hamerspace.report.run_data import (
    Miss,
    Nearest,
    RunData,
    SourceRecord,
)

__all__ = [
    "Miss",
    "Nearest",
    "RunData",
    "SourceRecord",
]
