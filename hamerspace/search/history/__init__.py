"""What studies found, kept in one file of the user's, for the first trials of later ones."""

from hamerspace.search.history.studies import entry_of, history_of, recall_for

__all__ = ["entry_of", "history_of", "recall_for"]
