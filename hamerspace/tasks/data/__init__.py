"""Data of a task: read, split without leaks, kept as ``.npy`` files, checked against the model."""
