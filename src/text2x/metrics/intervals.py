"""95 % intervals: Wilson's for shares, percentile bootstrap for means, jackknife over blocks for the rest."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from text2x.errors import InputError
from text2x.metrics.metric import Metric, same_length

Z = 1.959963984540054  # 97.5 % quantile of the normal distribution
DRAWS = 2000  # of a bootstrap: the ends of an interval move by some hundredths of its width from seed to seed
CHUNK = 2**22  # numbers drawn at a time
LEAST = 1e-12  # below a ratio: a draw may hold none of the few values above 0

Interval = tuple[float, float]


def wilson(share: float, n: int) -> Interval:
    """Interval of a share in [0, 1] of n independent items (Wilson 1927); never empty, also at 0 and 1."""
    if n < 1 or not 0 <= share <= 1:
        raise InputError(f"a share of {share} of {n} items has no interval; shares are 0 to 1 of at least 1 item")
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def rate(hits: Sequence[float] | NDArray[Any], space: str, groups: Sequence[Hashable] | None = None) -> Metric:
    """Share of hits in [0, 1] [N]. Items of one group count as one in the interval, since they are not independent."""
    values = np.asarray(hits, dtype=np.float64)
    if len(values) == 0:
        raise InputError("a share of 0 items is not defined; give at least 1")
    share, distinct = float(values.mean()), len(values)
    if groups is not None:
        same_length({"hits": values, "groups": groups})
        distinct = len(set(groups))
    low, high = wilson(share, distinct)
    note = "" if distinct == len(values) else f"interval over {distinct} groups"
    return Metric(share, low, high, len(values), space, note)


def bootstrap(statistic: Callable[[NDArray[np.int64]], NDArray[np.float64]], n: int, seed: int = 0) -> Interval:
    """Percentile interval; `statistic` takes drawn indexes [R, n] and returns [R] (Efron and Tibshirani 1993, ch. 13).

    One item alone gives an interval of no width: nothing is known of its spread.
    """
    if n < 1:
        raise InputError("an interval over 0 items is not defined; give at least 1")
    rng = np.random.default_rng(seed)
    together = max(1, min(DRAWS, CHUNK // n))
    sizes = [min(together, DRAWS - start) for start in range(0, DRAWS, together)]
    drawn = np.concatenate([statistic(rng.integers(0, n, (size, n))) for size in sizes])
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def mean(values: Sequence[float] | NDArray[np.float64], space: str, seed: int = 0, note: str = "") -> Metric:
    """Mean of values [N] with a bootstrap interval over the items."""
    numbers = np.asarray(values, dtype=np.float64)
    low, high = bootstrap(lambda drawn: numbers[drawn].mean(1), len(numbers), seed)
    return Metric(float(numbers.mean()), low, high, len(numbers), space, note)


def ratio_of_means(above: NDArray[np.float64], below: NDArray[np.float64], space: str, seed: int = 0) -> Metric:
    """mean(above) / mean(below) of values [N] that belong together; the bootstrap draws both together."""
    n = same_length({"values above": above, "values below": below})
    if not below.mean() > 0:
        raise InputError(f"the {n} values to compare with have the mean {below.mean():g}; it must be above 0")

    def statistic(drawn: NDArray[np.int64]) -> NDArray[np.float64]:
        return above[drawn].mean(1) / np.maximum(below[drawn].mean(1), LEAST)

    low, high = bootstrap(statistic, n, seed)
    return Metric(float(above.mean() / below.mean()), low, high, n, space)


def paired_difference(
    first: Sequence[float] | NDArray[np.float64],
    second: Sequence[float] | NDArray[np.float64],
    space: str,
    seed: int = 0,
) -> Metric:
    """Mean of first - second [N], item by item: the same prompts and seeds asked of two models."""
    same_length({"first values": np.asarray(first), "second values": np.asarray(second)})
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    return mean(differences, space, seed, "first minus second")


def jackknife(whole: float, without: Sequence[float]) -> Interval:
    """Interval of a smooth statistic from its values `without` each of K blocks (Efron and Tibshirani 1993, ch. 11)."""
    count = len(without)
    if count < 5:
        raise InputError(f"{count} blocks are too few for an interval; at least 5 are needed")
    left = np.asarray(without, dtype=np.float64)
    error = math.sqrt((count - 1) / count * float(((left - left.mean()) ** 2).sum()))
    half = student(count - 1) * error
    return whole - half, whole + half


def student(freedom: int) -> float:
    """97.5 % quantile of Student's t (Abramowitz and Stegun 26.7.5; within 0.002 from 4 degrees of freedom on)."""
    z, v = Z, freedom
    terms = (
        (z**3 + z) / (4 * v),
        (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2),
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3),
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / (92160 * v**4),
    )
    return z + sum(terms)


def blocks(n: int, count: int, seed: int) -> list[NDArray[np.int64]]:
    """The numbers 0 to n - 1 in a random order, cut into blocks that differ by one at most."""
    return [np.sort(part) for part in np.array_split(np.random.default_rng([seed, n]).permutation(n), count)]
