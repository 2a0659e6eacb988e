"""Cut x into patches and back; x is [B, C, *], a patch is one token of all its values, channels slowest.

Shapes: B batch, C channels, * = T, H W or T H W, S patches, P values of a patch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor


def to_patches(x: Tensor, patch: Sequence[int]) -> Tensor:
    """[B, C, *] -> [B, S, C P]; `patch` is the size along each axis and divides it."""
    dims = len(patch)
    for axis, size in enumerate(patch):
        x = x.unflatten(2 + 2 * axis, (-1, size))  # [B, C, s, p, ...]
    counts, insides = range(2, 2 + 2 * dims, 2), range(3, 3 + 2 * dims, 2)
    return x.permute(0, *counts, 1, *insides).flatten(1, dims).flatten(2)


def from_patches(tokens: Tensor, patch: Sequence[int], sizes: Sequence[int]) -> Tensor:
    """[B, S, C P] -> [B, C, *], where * is `sizes`: the inverse of `to_patches`."""
    dims = len(patch)
    counts = [size // each for size, each in zip(sizes, patch, strict=True)]
    channels = tokens.shape[2] // math.prod(patch)
    x = tokens.reshape(-1, *counts, channels, *patch)
    pairs = (place for axis in range(dims) for place in (1 + axis, 2 + dims + axis))
    return x.permute(0, 1 + dims, *pairs).reshape(-1, channels, *sizes)
