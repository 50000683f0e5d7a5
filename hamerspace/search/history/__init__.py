"""What studies found, kept in one file of the user's, for the first trials of later ones."""

from hamerspace.search.history.alike import likeness, recall
from hamerspace.search.history.entry import Entry, Setting, Tried
from hamerspace.search.history.file import HistoryFile, default_history_file
from hamerspace.search.history.studies import entry_of, history_of, recall_for, setting_of

__all__ = [
    "Entry",
    "HistoryFile",
    "Setting",
    "Tried",
    "default_history_file",
    "entry_of",
    "history_of",
    "likeness",
    "recall",
    "recall_for",
    "setting_of",
]
