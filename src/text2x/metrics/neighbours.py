"""Nearest neighbours by Euclidean distance, exactly, a part of the rows at a time. Features are [N, D] float64."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

CHUNK = 512  # rows: 512 x 10,000 distances are 40 MB


def squared_distances(
    rows: NDArray[np.float64], others: NDArray[np.float64]
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Parts [chunk, M] of the squared distances, with their rows; off by about 1e-12 of the squared lengths."""
    lengths = (others**2).sum(1)
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        squares = (part**2).sum(1)[:, None] + lengths - 2 * part @ others.T
        yield slice(start, start + len(part)), np.maximum(squares, 0)


def nearest(
    rows: NDArray[np.float64], others: NDArray[np.float64], k: int, same: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distances [N, k], ascending, and indexes [N, k] of the k nearest others; `same`: both are one set, skip itself.

    The distances are taken anew from the differences, so that of two equal rows is exactly 0.
    """
    found = np.empty((len(rows), k), np.int64)
    distances = np.empty((len(rows), k))
    for part, squares in squared_distances(rows, others):
        if same:
            squares[np.arange(len(squares)), np.arange(part.start, part.stop)] = np.inf
        ahead = np.argpartition(squares, k - 1, axis=1)[:, :k]
        exactly = np.stack([np.linalg.norm(rows[part] - others[column], axis=1) for column in ahead.T], 1)
        order = np.argsort(exactly, axis=1, kind="stable")
        found[part] = np.take_along_axis(ahead, order, 1)
        distances[part] = np.take_along_axis(exactly, order, 1)
    return distances, found
