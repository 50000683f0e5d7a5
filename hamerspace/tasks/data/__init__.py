"""Data of a task: read, split without leaks, kept as ``.npy`` files, checked against the model."""

from hamerspace.tasks.data.fit import check_fits
from hamerspace.tasks.data.prepare import prepare_data
from hamerspace.tasks.data.reading import RawData, read_data
from hamerspace.tasks.data.splits import SPLITS, Splits
from hamerspace.tasks.data.synthetic import random_data

__all__ = [
    "SPLITS",
    "RawData",
    "Splits",
    "check_fits",
    "prepare_data",
    "random_data",
    "read_data",
]
