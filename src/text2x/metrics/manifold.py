"""Precision, recall, density and coverage: which pictures lie among the reference's neighbours and the reverse."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from text2x.errors import InputError
from text2x.metrics.intervals import bootstrap, mean, rate
from text2x.metrics.metric import Metric, Rows, rows_of, same_width
from text2x.metrics.neighbours import nearest, squared_distances

K = 5  # neighbours (Naeem et al. 2020, Sec. 5)
ITEMS_PER_NEIGHBOUR = 10  # below, a neighbourhood is a large part of the set


def manifold(pictures: Rows, reference: Rows, space: str, k: int = K, seed: int = 0) -> dict[str, Metric]:
    """Precision and recall (Kynkäänniemi et al. 2019, eq. 2), density and coverage (Naeem et al. 2020, Sec. 3).

    An item's neighbourhood is the closed ball up to its k-th nearest neighbour in its own set. Precision and density
    average over pictures, recall and coverage over the reference; the intervals take the other set as given. Compare at
    one N only. Both sets need 10 k items.
    """
    x, y = _both(pictures, reference, space, k)
    x_radii, y_radii = nearest(x, x, k, same=True)[0][:, -1], nearest(y, y, k, same=True)[0][:, -1]
    in_reference, covered = _counts(x, y, y_radii)
    _, in_pictures = _counts(x, y, x_radii, of_rows=True)
    named = f"{space}, k {k}"
    return {
        "precision": rate(in_reference > 0, named),
        "recall": rate(in_pictures > 0, named),
        "density": mean(in_reference / k, named, seed),
        "coverage": rate(covered > 0, named),
    }


def clipped_manifold(pictures: Rows, reference: Rows, space: str, k: int = K, seed: int = 0) -> dict[str, Metric]:
    """Clipped density and coverage, which read as shares of good pictures (Salvy et al. 2025, arXiv 2507.01761).

    Density: no radius above the median, no picture counts more than 1, and 1 is what the reference has of itself.
    Coverage: no reference item counts more than k pictures, and the share is that of a perfect sampler's pictures which
    would cover as much.
    """
    x, y = _both(pictures, reference, space, k)
    named = f"{space}, k {k}"
    near = nearest(y, y, k, same=True)
    radii = near[0][:, -1]
    clipped = np.minimum(radii, np.median(radii))
    own = np.bincount(near[1][near[0] <= clipped[:, None]], minlength=len(y))
    ideal = np.minimum(own / k, 1).mean()
    density = mean(np.minimum(_counts(x, y, clipped)[0] / k, 1) / ideal, named, seed)
    value, low, high = (min(1.0, end) for end in (density.value, density.low, density.high))
    share = np.minimum(_counts(x, y, radii)[1] / k, 1)
    ends = float(share.mean()), *bootstrap(lambda drawn: share[drawn].mean(1), len(y), seed)
    middle, least, most = (_calibrated(end, k, len(y), len(x)) for end in ends)
    return {
        "clipped density": Metric(value, low, high, len(x), named),
        "clipped coverage": Metric(middle, least, most, len(y), named),
    }


def _both(pictures: Rows, reference: Rows, space: str, k: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if k < 1:
        raise InputError(f"k is {k}; take at least 1 neighbour")
    what = f"neighbourhoods of k {k} in {space}"
    x, y = (rows_of(each, what, ITEMS_PER_NEIGHBOUR * k) for each in (pictures, reference))
    same_width(x, y, what)
    return x, y


def _counts(
    x: NDArray[np.float64], y: NDArray[np.float64], radii: NDArray[np.float64], of_rows: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of the balls around y, how many hold each x, [N], and how many x each holds, [M].

    `of_rows`: the balls are around x; then how many y each holds, [N], and how many hold each y, [M].
    """
    by_x, by_y = np.zeros(len(x), np.int64), np.zeros(len(y), np.int64)
    limits = radii**2 * (1 + 1e-9)  # the neighbour that set the radius lies inside, whatever the rounding
    for part, squares in squared_distances(x, y):
        inside = squares <= (limits[part, None] if of_rows else limits)
        by_x[part] = inside.sum(1)
        by_y += inside.sum(0)
    return by_x, by_y


def _calibrated(share: float, k: int, n: int, m: int) -> float:
    """The part of m pictures of a perfect sampler that covers as much of n reference items; by bisection."""
    if share <= 0:
        return 0.0
    low, high = 0.0, float(m)
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if expected_coverage(middle, k, n) < share else (low, middle)
    return high / m


def expected_coverage(m: float, k: int, n: int) -> float:
    """Mean of min(J, k) / k, J of m perfect pictures in the ball that holds k of n - 1 others: J is beta-binomial.

    A ball up to the k-th of n - 1 neighbours holds Beta(k, n - k) of the distribution.
    """

    def log_chance(j: int) -> float:
        choose = math.lgamma(m + 1) - math.lgamma(j + 1) - math.lgamma(m - j + 1)
        beta = math.lgamma(k + j) + math.lgamma(n - k + m - j) - math.lgamma(n + m)
        return choose + beta - (math.lgamma(k) + math.lgamma(n - k) - math.lgamma(n))

    missing = sum((k - j) * math.exp(log_chance(j)) for j in range(k) if m - j > -1)
    return max(0.0, 1 - missing / k)
