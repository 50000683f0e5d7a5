"""Seeded ways to divide rows. Each part comes shuffled, so that any head of it is a fair sample."""

import numpy as np
import numpy.typing as npt

from hamerspace.tasks.data.splits import Array

Rows = npt.NDArray[np.int64]


def forty_forty_twenty(
    labels: Array | None, rows: int, rng: np.random.Generator
) -> tuple[list[Rows], bool]:
    """Divide into 40%, 40% and 20%.

    Returns:
        The three parts, and whether they are stratified: they are for integer labels of which
        every class has at least five rows, so that no part lacks a class.
    """
    return _deal(labels, rows, (0, 1, 2, 0, 1), rng)


def halves(labels: Array | None, rows: int, rng: np.random.Generator) -> list[Rows]:
    """Divide into two halves, stratified where every class has two rows."""
    return _deal(labels, rows, (0, 1), rng)[0]


def draw(rows: int, count: int, rng: np.random.Generator) -> Rows:
    """Draw ``count`` of ``rows`` without replacement."""
    return rng.permutation(rows)[:count]


def _deal(
    labels: Array | None, rows: int, hand: tuple[int, ...], rng: np.random.Generator
) -> tuple[list[Rows], bool]:
    """Deal shuffled rows to parts like cards, class after class where that is possible."""
    order = rng.permutation(rows)
    stratified = labels is not None and _has_classes(labels, len(hand))
    if stratified:
        assert labels is not None
        order = order[np.argsort(labels.reshape(-1)[order], kind="stable")]
    part_of_row = np.resize(np.asarray(hand), rows)
    parts = [rng.permutation(order[part_of_row == part]) for part in range(max(hand) + 1)]
    return parts, stratified


def _has_classes(labels: Array, least_rows: int) -> bool:
    if labels.dtype.kind not in "biu" or labels.size != len(labels):
        return False
    counts = np.unique(labels, return_counts=True)[1]
    return bool(counts.min() >= least_rows)
