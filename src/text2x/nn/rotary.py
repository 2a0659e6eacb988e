"""Rotary position embedding over 1 to 3 axes (Su et al. 2021): a query-key product depends on distances only.

Shapes: B batch, N heads, S positions, d head width. A head's channels are pairs (i, i + d / 2), shared out equally
among the axes; pairs left over are not turned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from text2x.errors import InputError
from text2x.nn.attention import Rotate


def positions(sizes: Sequence[int], device: torch.device | None = None) -> Tensor:
    """Integer coordinates of each point of a grid, the last axis fastest: (T, H, W) -> [T H W, 3]."""
    axes = [torch.arange(size, device=device, dtype=torch.float32) for size in sizes]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flatten(0, -2)


def angles(
    points: Tensor, head_width: int, largest_period: float = 10_000.0, circles: Sequence[int] | None = None
) -> Tensor:
    """Angle of each pair of channels at each point: [S, axes] coordinates -> [S, head_width / 2].

    `circles` are the sizes of axes whose last point leads into the first: each channel then turns a whole number of
    times along its axis, the nearest to its own, so that distances are those around the circle.
    """
    pairs, axes = head_width // 2, points.shape[1]
    turned = pairs // axes  # of each axis
    if head_width % 2 or not turned:
        raise InputError(f"head width {head_width} is too small or odd for {axes} axes; take an even one >= {2 * axes}")
    steps = torch.arange(turned, device=points.device, dtype=torch.float32) / turned
    frequencies = (largest_period**-steps).expand(axes, -1)  # [axes, turned]
    if circles is not None:
        whole = 2 * math.pi / torch.tensor(circles, device=points.device, dtype=torch.float32)[:, None]
        frequencies = (frequencies / whole).round() * whole
    each = points.float()[:, :, None] * frequencies  # [S, axes, turned]
    return F.pad(each.flatten(1), (0, pairs - axes * turned))


def rotation(angle: Tensor) -> Rotate:
    """Turn each pair of channels of [B, N, S, d] by its angle, [S, d / 2]."""
    cos = angle.cos().repeat(1, 2)  # [S, d]
    sin = torch.cat([-angle.sin(), angle.sin()], dim=1)

    def rotate(x: Tensor) -> Tensor:
        first, second = x.chunk(2, dim=-1)
        return torch.addcmul(x * cos.to(x.dtype), torch.cat([second, first], dim=-1), sin.to(x.dtype))

    return rotate


def sines(angle: Tensor) -> Tensor:
    """Fixed absolute embedding from the same angles: [S, D / 2] -> [S, D] (Vaswani et al. 2017, in as many axes)."""
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def axis_sines(points: Tensor, width: int, largest_period: float = 10_000.0) -> Tensor:
    """Fixed absolute embedding, sines and cosines of one axis together, the last axis first (Peebles and Xie 2023).

    [S, axes] coordinates -> [S, width], a multiple of 2 axes.
    """
    turned = width // (2 * points.shape[1])  # frequencies of each axis
    steps = torch.arange(turned, device=points.device, dtype=torch.float32) / turned
    each = points.float().flip(1)[:, :, None] * largest_period**-steps  # [S, axes, turned]
    return torch.cat([each.sin(), each.cos()], dim=2).flatten(1)
