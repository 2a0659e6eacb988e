"""Known regions for training: random masks [B, 1, H, W], 1 = known, and the channels that tell a network of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

SMALLEST_PLACED = 0.4  # of the canvas: outpainting to more goes in several steps


def known_channels(images: Tensor, mask: Tensor) -> Tensor:
    """The known part of the images (0 elsewhere) and the mask, [B, C + 1, H, W]; mask [B, 1, H, W], 1 = known."""
    return torch.cat([images * mask, mask], dim=1)


def unknown_channels(images: Tensor) -> Tensor:
    """The channels that say that nothing is known."""
    return images.new_zeros(images.shape[0], images.shape[1] + 1, *images.shape[2:])


def placed(images: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pictures [B, C, S, S] made smaller and laid anywhere on a transparent canvas, and the masks of where they lie.

    Masks are [B, 1, S, S], 1 on the picture. Networks that paint around a whole picture learn from these that nothing
    need be there; sides are SMALLEST_PLACED of the canvas or more.
    """
    count, size = len(images), images.shape[-1]
    sides = torch.randint(max(1, round(SMALLEST_PLACED * size)), size + 1, (count,), generator=rng).tolist()
    places = torch.rand(count, 2, generator=rng).tolist()
    canvas, frames = torch.full_like(images, -1), images.new_zeros(count, 1, size, size)
    for item, (side, place) in enumerate(zip(sides, places, strict=True)):
        top, left = (int(share * (size - side + 1)) for share in place)
        small = F.interpolate(images[item : item + 1], (side, side), mode="bilinear", antialias=True)
        canvas[item, :, top : top + side, left : left + side] = small[0]
        frames[item, :, top : top + side, left : left + side] = 1
    return canvas, frames


def random_masks(count: int, size: int, rng: torch.Generator) -> Tensor:
    """[count, 1, size, size] masks of boxes, half planes, frames (to paint outwards) and brush strokes, 1 = known.

    Suvorov et al. 2021 (LaMa, Sec. 2.3) found wide masks to matter; most of a picture is unknown here more often
    than not.
    """
    kinds = torch.randint(len(KINDS), (count,), generator=rng).tolist()
    draw = tuple(KINDS.values())
    return torch.stack([draw[kind](size, rng) for kind in kinds])[:, None]


def _box(size: int, rng: torch.Generator, smallest: float, largest: float) -> tuple[slice, slice]:
    sides = (smallest + (largest - smallest) * torch.rand(2, generator=rng)) * size
    starts = torch.rand(2, generator=rng) * (size - sides)
    rows, columns = ((int(start), int(start + side + 0.5)) for start, side in zip(starts, sides, strict=True))
    return slice(*rows), slice(*columns)


def _box_hole(size: int, rng: torch.Generator) -> Tensor:
    mask = torch.ones(size, size)
    mask[_box(size, rng, 0.3, 0.9)] = 0
    return mask


def _frame(size: int, rng: torch.Generator) -> Tensor:
    mask = torch.zeros(size, size)
    mask[_box(size, rng, 0.3, 0.8)] = 1
    return mask


def _half_plane(size: int, rng: torch.Generator) -> Tensor:
    angle, offset = torch.rand(2, generator=rng)
    grid = torch.linspace(-1, 1, size)
    direction = 2 * torch.pi * angle
    along = grid[:, None] * torch.sin(direction) + grid[None, :] * torch.cos(direction)
    return (along > (offset - 0.5)).float()


def _strokes(size: int, rng: torch.Generator) -> Tensor:
    grid = torch.linspace(0, 1, size)
    known = torch.ones(size, size, dtype=torch.bool)
    for _ in range(int(torch.randint(1, 4, (1,), generator=rng))):
        ends = torch.rand(4, generator=rng)
        width = 0.06 + 0.12 * torch.rand(1, generator=rng)
        along = torch.linspace(0, 1, 2 * size)[:, None, None]
        rows = torch.lerp(ends[0], ends[1], along) - grid[None, :, None]
        columns = torch.lerp(ends[2], ends[3], along) - grid[None, None, :]
        known &= ((rows**2 + columns**2) > width**2).all(0)
    return known.float()


KINDS: Mapping[str, Callable[[int, torch.Generator], Tensor]] = {  # (side, rng) -> mask [S, S]
    "box": _box_hole,
    "half plane": _half_plane,
    "frame": _frame,
    "strokes": _strokes,
}
