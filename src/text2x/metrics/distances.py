"""Distances between two sets of features [N, D]: a kernel distance and a Fréchet distance, each with an interval.

Neither is a score of other papers: those belong to one network and tens of thousands of pictures. Compare figures of
one space and one N only, and always beside that of real pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from text2x.errors import InputError
from text2x.metrics.intervals import blocks, jackknife
from text2x.metrics.metric import Metric, Rows, rows_of, same_width

BLOCKS = 10  # left out one after the other for the interval
LEAST_KERNEL = 50  # items on each side: 5 in a block
ITEMS_PER_DIMENSION = 10  # of a Fréchet distance: fewer, and the covariance is mostly noise


def kernel_distance(pictures: Rows, reference: Rows, space: str, seed: int = 0) -> Metric:
    """Unbiased squared maximum mean discrepancy with the kernel (x·y / D + 1)³; below 0 by chance when sets are alike.

    Gretton et al. 2012, eq. 3; the kernel of Bińkowski et al. 2018. The interval is a jackknife over blocks of both
    sets; `seed` deals the items out to blocks and does not touch the value.
    """
    x, y = (rows_of(each, f"kernel distance in {space}", LEAST_KERNEL) for each in (pictures, reference))
    same_width(x, y, "kernel distance")
    x_parts, y_parts = ([rows[part] for part in blocks(len(rows), BLOCKS, seed)] for rows in (x, y))
    within_x, within_y, between = (
        _kernel_sums(*pair) for pair in ((x_parts, x_parts), (y_parts, y_parts), (x_parts, y_parts))
    )
    for sums, parts in ((within_x, x_parts), (within_y, y_parts)):
        sums[np.diag_indices(BLOCKS)] -= [_kernel((part**2).sum(1) / part.shape[1]).sum() for part in parts]
    sizes = np.array([len(part) for part in x_parts]), np.array([len(part) for part in y_parts])

    def over(kept: NDArray[np.bool_]) -> float:
        n, m = (int(size[kept].sum()) for size in sizes)
        sums = (each[np.ix_(kept, kept)].sum() for each in (within_x, within_y, between))
        own, others, both = sums
        return float(own / (n * (n - 1)) + others / (m * (m - 1)) - 2 * both / (n * m))

    return _over_blocks(over, min(len(x), len(y)), space)


def kernel_difference(
    first: Rows, second: Rows, reference: Rows, units: Sequence[int] | NDArray[np.int64], space: str
) -> Metric:
    """Kernel distance of the first items [N, D] minus that of the second [N, D], to one reference.

    Items of one unit [N] (a prompt, numbered from 0) belong together. The interval is a jackknife over blocks of units,
    left out of both, and of the reference.
    """
    x, y, known = (rows_of(each, f"kernel distance in {space}", LEAST_KERNEL) for each in (first, second, reference))
    own = np.asarray(units)

    def over(left: Sequence[int], left_reference: Sequence[int]) -> float:
        kept, beside = ~np.isin(own, left), ~np.isin(np.arange(len(known)), left_reference)
        one, other = (kernel_distance(rows[kept], known[beside], space).value for rows in (x, y))
        return one - other

    whole, count = over([], []), int(own.max()) + 1
    parts = zip(blocks(count, BLOCKS, 0), blocks(len(known), BLOCKS, 0), strict=True)
    low, high = jackknife(whole, [over(list(left), list(other)) for left, other in parts])
    return Metric(whole, low, high, count, space, "first minus second")


def _kernel(products: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = products + 1
    return shifted * shifted * shifted  # a power is many times slower


def _kernel_sums(first: list[NDArray[np.float64]], second: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Sums of the kernel over each pair of blocks, [BLOCKS, BLOCKS]."""
    return np.array([[_kernel(x @ y.T / x.shape[1]).sum() for y in second] for x in first])


def frechet_distance(pictures: Rows, reference: Rows, space: str, dims: int = 64, seed: int = 0) -> Metric:
    """Fréchet distance of Gaussians fitted to both sets, in the reference's first `dims` principal components.

    |m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½) (Dowson and Landau 1982). It is biased upwards, the more the fewer
    items: compare at one N. Both sets need 10 items a component. The interval is a jackknife over blocks of both sets,
    the components held fixed.
    """
    least = max(LEAST_KERNEL, ITEMS_PER_DIMENSION * dims)
    what = f"Fréchet distance in {dims} dimensions of {space}"
    x, y = (rows_of(each, what, least) for each in (pictures, reference))
    same_width(x, y, "Fréchet distance")
    if not 1 <= dims <= y.shape[1]:
        raise InputError(f"dims is {dims}; {space} has {y.shape[1]} features, take 1 to {y.shape[1]}")
    axes = principal_components(y, dims)
    centre = y.mean(0)
    x_parts, y_parts = ([((rows[part] - centre) @ axes) for part in blocks(len(rows), BLOCKS, seed)] for rows in (x, y))

    def over(kept: NDArray[np.bool_]) -> float:
        chosen = np.flatnonzero(kept)
        return gaussian_distance(*(np.concatenate([parts[i] for i in chosen]) for parts in (x_parts, y_parts)))

    return _over_blocks(over, min(len(x), len(y)), f"{space}, {dims} principal components of the reference")


def _over_blocks(over: Callable[[NDArray[np.bool_]], float], n: int, space: str) -> Metric:
    """Value over all blocks and its interval; `over` takes which blocks are kept, [BLOCKS] of bool."""
    everything = np.ones(BLOCKS, dtype=bool)
    value = over(everything)
    low, high = jackknife(value, [over(np.arange(BLOCKS) != left) for left in range(BLOCKS)])
    return Metric(value, low, high, n, space)


def principal_components(rows: NDArray[np.float64], dims: int) -> NDArray[np.float64]:
    """The directions of the largest variance, [D, dims], of length 1 (0 beyond the rank), the largest first."""
    centred = rows - rows.mean(0)
    wide = rows.shape[1] > len(rows)  # then the N x N products have the same eigenvalues and are fewer
    values, vectors = np.linalg.eigh(centred @ centred.T if wide else centred.T @ centred)
    first = vectors[:, ::-1][:, :dims]
    if not wide:
        return first
    directions = centred.T @ first
    lengths = np.linalg.norm(directions, axis=0)
    return directions / np.where(lengths > 1e-9 * lengths.max(), lengths, np.inf)


def gaussian_distance(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Fréchet distance of the Gaussians with the means and covariances of x and y, both [N, D]."""
    first, second = (np.atleast_2d(np.cov(rows, rowvar=False)) for rows in (x, y))
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ second @ root), 0)).sum()
    apart = ((x.mean(0) - y.mean(0)) ** 2).sum()
    return float(apart + np.trace(first) + np.trace(second) - 2 * cross)
