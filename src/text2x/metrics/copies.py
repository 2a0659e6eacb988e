"""Copies of training pictures: generated pictures much nearer to one training picture than to the next.

To be read beside the figure of real pictures that were held out: drawings of one thing resemble each other too.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from text2x.errors import InputError
from text2x.metrics.intervals import rate
from text2x.metrics.metric import Metric, Rows, rows_of, same_length, same_width
from text2x.metrics.neighbours import nearest

RATIO = 1 / 3  # nearest over second-nearest distance (Yoon et al. 2023; Bonnaire et al. 2025, arXiv 2505.17638)


@dataclass(frozen=True, eq=False)
class Copies:
    """The copy rate, and of each picture its nearest training picture and how it compares with the second."""

    rate: Metric
    ratios: NDArray[np.float64]  # [N] in [0, 1]: nearest over second-nearest distance
    distances: NDArray[np.float64]  # [N] to the nearest
    nearest: NDArray[np.int64]  # [N] row of the training set

    def worst(self, count: int) -> list[tuple[int, int]]:
        """(picture, training picture) of the `count` smallest ratios, the smallest first."""
        order = np.argsort(self.ratios, kind="stable")[:count]
        return [(int(row), int(self.nearest[row])) for row in order]


def copies(
    pictures: Rows, training: Rows, space: str, groups: Sequence[Hashable] | None = None, ratio: float = RATIO
) -> Copies:
    """Find pictures [N, D] whose nearest of the training set [M, D] is less than `ratio` as far as the second.

    Two drawings in the training set that are nearly the same hide a copy of either. `groups` [M] names what belongs
    together (a concept's drawings): the second is then the nearest of another group. Wilson's interval.
    """
    x = rows_of(pictures, f"copies in {space}")
    y = rows_of(training, f"training set in {space}", 2)
    same_width(x, y, "copies")
    if not 0 < ratio < 1:
        raise InputError(f"ratio is {ratio}; it lies between 0 and 1")
    if groups is None:
        both, places = nearest(x, y, 2)
        first, second = both.T
        found = places[:, 0]
    else:
        first, second, found = _of_groups(x, y, groups)
    ratios = np.divide(first, second, out=np.zeros(len(x)), where=second > 0)  # two equal training pictures: 0 / 0
    named = f"{space}, d1/d2 < {ratio:.2g}" + ("" if groups is None else ", second of another group")
    return Copies(rate(ratios < ratio, named), ratios, first, found)


def _of_groups(
    x: NDArray[np.float64], y: NDArray[np.float64], groups: Sequence[Hashable]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Distance to the nearest, to the nearest of another group, and the row of the first."""
    same_length({"training pictures": y, "groups": groups})
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    if len(numbers) < 2:
        raise InputError(f"all {len(y)} training pictures are of one group; give at least 2 groups")
    labels = np.array([numbers[group] for group in groups])
    k = min(len(y), int(np.bincount(labels).max()) + 1)  # among them is one of another group
    distances, places = nearest(x, y, k)
    other = labels[places] != labels[places[:, :1]]
    second = distances[np.arange(len(x)), other.argmax(1)]
    return distances[:, 0], second, places[:, 0]
