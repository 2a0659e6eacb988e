"""Canvases: a picture with room around it to paint in; the new part is transparent and unknown, the old known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real

import numpy as np

from text2x.editing.masks import Box, box_mask
from text2x.errors import InputError
from text2x.media import MAX_PIXELS, Image

MAX_EXTENSION = 4096  # pixels that one side may grow by
ANCHORS = {  # share of the new room that lies left of the picture, and above it
    "center": (0.5, 0.5), "left": (0.0, 0.5), "right": (1.0, 0.5), "top": (0.5, 0.0), "bottom": (0.5, 1.0),
    "top-left": (0.0, 0.0), "top-right": (1.0, 0.0), "bottom-left": (0.0, 1.0), "bottom-right": (1.0, 1.0),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Canvas:
    """A larger picture in which the original lies at a box; all around it is transparent."""

    image: Image
    original: Box

    @property
    def keep(self) -> np.ndarray:
        """The mask [H, W]: 1 on the original, 0 around it."""
        return 1 - box_mask(self.original, self.image.width, self.image.height)


def extend(image: Image, left: int = 0, right: int = 0, top: int = 0, bottom: int = 0) -> Canvas:
    """A canvas with so many pixels more on each side.

    Raises InputError if nothing is added, for a side below 0 or above MAX_EXTENSION, and above MAX_PIXELS in all.
    """
    sides = {"left": left, "right": right, "top": top, "bottom": bottom}
    for name, pixels in sides.items():
        whole = isinstance(pixels, (int, np.integer)) and not isinstance(pixels, bool)
        if not whole or not 0 <= pixels <= MAX_EXTENSION:
            shown = f"{pixels:,}" if whole else repr(pixels)[:40]
            raise InputError(f"{name} is {shown}; a side may grow by 0 to {MAX_EXTENSION:,} pixels")
    if not any(sides.values()):
        raise InputError("nothing to add: left, right, top and bottom are all 0; give one at least a pixel")
    width, height = image.width + left + right, image.height + top + bottom
    if width * height > MAX_PIXELS:
        most = f"at most {MAX_PIXELS // 10**6} megapixels are painted"
        raise InputError(
            f"the canvas would have {width:,} x {height:,} pixels; {most}: add less, or shrink the picture"
        )
    around = ((top, bottom), (left, right))
    pixels = np.pad(image.pixels, ((0, 0), *around), constant_values=-1)
    straight = None if image.straight is None else np.pad(image.straight, (*around, (0, 0)))
    return Canvas(Image(pixels, straight), Box(left, top, left + image.width, top + image.height))


def to_size(image: Image, width: int, height: int, anchor: str = "center") -> Canvas:
    """A canvas of this size; `anchor` says where on it the picture lies, by default in the middle.

    An odd pixel goes to the right and the bottom. Raises InputError for a size below the picture's or equal to it, for
    an unknown anchor, and as `extend` does.
    """
    if anchor not in ANCHORS:
        raise InputError(f"unknown anchor {str(anchor)[:40]!r}; known: {', '.join(ANCHORS)}")
    sizes = f"{width:,} x {height:,} pixels; the picture has {image.width:,} x {image.height:,}"
    if width < image.width or height < image.height:
        raise InputError(f"the canvas is to have {sizes}: give a size that is not below it, or shrink the picture")
    if (width, height) == (image.width, image.height):
        raise InputError(f"nothing to add: the canvas is to have {sizes}: give a larger one")
    across, down = width - image.width, height - image.height
    left, top = int(across * ANCHORS[anchor][0]), int(down * ANCHORS[anchor][1])
    return extend(image, left, across - left, top, down - top)


def zoom(image: Image, factor: float) -> Canvas:
    """A canvas `factor` times as wide and high with the picture in its middle, at its own size.

    Raises InputError unless 1 < factor <= 100 and at least a pixel is added, and as `extend` does.
    """
    number = isinstance(factor, Real) and not isinstance(factor, bool) and math.isfinite(factor)
    if not number or not 1 < factor <= 100:
        raise InputError(f"zoom is {repr(factor)[:40]}; it must be above 1 and at most 100, as 1.5 or 2")
    width, height = math.floor(image.width * factor + 0.5), math.floor(image.height * factor + 0.5)
    if (width, height) == (image.width, image.height):
        raise InputError(f"zoom {factor:g} adds no pixel to {width} x {height} pixels; give a larger factor")
    return to_size(image, width, height)
