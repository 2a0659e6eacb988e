"""Masks: float32 [H, W] in [0, 1], 1 = known; every other polarity and boxes are converted here. Boxes are [from, to).

A soft mask says in between how much of the picture stays. Only where it is exactly 1 is a pixel known bit for bit.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from text2x.errors import InputError
from text2x.media import Image

POLARITIES = ("white", "black", "transparent")  # what is painted anew: Stable Diffusion's way, Titan's, OpenAI's
NEAR = 8 / 255  # what is as near to black or white as this counts as it: JPEG's noise on flat areas is of this size
GREY = 24 / 255  # and this near to it is no grey of a photograph
COLOURED = 32 / 255  # difference of channels from which a pixel has a colour
MOST_COLOURED = 0.02  # of a mask's pixels; a mask has none, but JPEG may smear some at edges
ROUGH = 2.5 / 255  # by which a peak or a dip must stand out to be texture
MOST_ROUGH = 0.01  # of a mask's pixels; in photographs 10 % and more are texture, in blurred masks below 0.1 %
RIDGES = 5  # of a pixel's width and the mask's length are no texture either: the backs of soft brush strokes
MAX_FEATHER = 256  # pixels
MAX_BOX = 200  # characters
SIGNS_OF_A_BOX = re.compile(r"[-+0-9.,%\s]*,[-+0-9.,%\s]*")
NUMBER = re.compile(r"([-+]?)([0-9]{1,9}(?:\.[0-9]{1,9})?|\.[0-9]{1,9})(%?)")
WHAT_A_MASK_IS = "a mask is black and white (grey between), of the picture's size"


class Box(NamedTuple):
    """A rectangle of whole pixels, from (left, top) up to but without (right, bottom)."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.bottom - self.top

    @property
    def area(self) -> tuple[slice, slice]:
        """The index of an array [H, W] that selects it."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


# Reading


def read_mask(
    source: str | Path | Image, width: int, height: int, repaint: str = "white"
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The mask [height, width], 1 = known, of a file, a picture or a box "LEFT,TOP,WIDTH,HEIGHT", and warnings.

    `repaint` says which part of a mask picture is painted anew: "white" (Stable Diffusion), "black" (Titan) or
    "transparent" (OpenAI; colours do not matter). Grey and half-transparent pixels are kept in part. A box, in pixels
    or percent of the picture, is what is painted anew, whatever `repaint` says. Raises InputError for another size
    than the picture's, for a mask with nothing to paint anew, for a photograph, and for boxes beyond the picture.
    """
    if repaint not in POLARITIES:
        raise InputError(f"repaint is {str(repaint)[:40]!r}; it must be {', '.join(POLARITIES[:2])} or {POLARITIES[2]}")
    if isinstance(source, str) and len(source) < MAX_BOX and SIGNS_OF_A_BOX.fullmatch(source):
        keep = box_mask(read_box(source, width, height), width, height)
        where = f"the box {' '.join(source.split())}"
    else:
        image = source if isinstance(source, Image) else Image.read(source)
        where = "the mask" if isinstance(source, Image) else f"the mask {source}"
        if (image.width, image.height) != (width, height):
            sizes = f"{image.width} x {image.height} pixels, the picture {width} x {height}"
            raise InputError(f"{where} has {sizes}; give a mask of the picture's size")
        keep = _kept_of(image, repaint, where)
    warnings = (
        () if keep.max() == 1 else (f"{where} leaves nothing known for certain: the whole picture is painted anew",)
    )
    return keep, warnings


def read_box(text: str, width: int, height: int) -> Box:
    """The box of "LEFT,TOP,WIDTH,HEIGHT", each in pixels or (%) percent; parts of pixels are rounded outward."""
    shown = text.strip()[:60]
    found = [NUMBER.fullmatch(part.strip()) for part in text.split(",")[:5]]
    if len(found) != 4 or None in found:
        raise InputError(f"the box {shown!r} must be LEFT,TOP,WIDTH,HEIGHT in pixels or percent, as 10%,10%,50%,50%")
    numbers = []
    for match, size in zip(found, (width, height, width, height), strict=True):
        sign, digits, percent = match.groups()  # type: ignore[union-attr]
        if not percent and "." in digits:
            raise InputError(f"the box {shown!r} has a part of a pixel, {digits}; give whole pixels, or percent")
        number = Fraction(digits) * (Fraction(size, 100) if percent else 1)
        numbers.append(-number if sign == "-" else number)
    left, top, wide, high = numbers
    if wide <= 0 or high <= 0:
        raise InputError(f"the box {shown!r} is empty; its width and height must be above 0")
    if left < 0 or top < 0 or left + wide > width or top + high > height:
        reach = f"from {float(left):g},{float(top):g} to {float(left + wide):g},{float(top + high):g}"
        raise InputError(
            f"the box {shown!r} reaches {reach}; the picture has {width} x {height} pixels: stay within it"
        )
    return Box(math.floor(left), math.floor(top), math.ceil(left + wide), math.ceil(top + high))


def box_mask(box: Box, width: int, height: int) -> np.ndarray:
    """The mask [height, width] whose hole is the box."""
    keep = np.ones((height, width), dtype=np.float32)
    keep[box.area] = 0
    return keep


def _kept_of(image: Image, repaint: str, where: str) -> np.ndarray:
    """The mask of a mask picture."""
    alpha = np.clip((image.pixels[3] + 1) / 2, 0, 1)  # [H, W]
    if repaint == "transparent":
        if alpha.min() > 1 - NEAR:
            other = "; if its white or black part is meant, say repaint white or black"
            raise InputError(f"{where} has no transparent pixel, so nothing to repaint{other}")
        return _snapped(alpha)
    colours = (image.pixels[:3] + 1) / 2
    _refuse_photograph(colours, alpha, where)
    grey = np.clip(colours.mean(axis=0), 0, 1)
    if repaint == "black":  # what is transparent was not painted on, so it is kept
        grey = grey + 1 - alpha
    keep = _snapped(1 - grey if repaint == "white" else grey)
    if keep.min() == 1:
        raise InputError(f"{where} has no {repaint} pixel, so nothing to repaint{_another_way(grey, alpha, repaint)}")
    return keep


def _another_way(grey: np.ndarray, alpha: np.ndarray, repaint: str) -> str:
    """What to say to one who has drawn a mask of another polarity."""
    if alpha.min() < NEAR:
        return "; if its transparent part is meant, say repaint transparent"
    other = "black" if repaint == "white" else "white"
    return f"; it is all {other}: paint in {repaint} what is to be painted anew"


def _snapped(keep: np.ndarray) -> np.ndarray:
    """Nearly black and nearly white as exactly 0 and 1."""
    return np.where(keep <= NEAR, 0, np.where(keep >= 1 - NEAR, 1, keep)).astype(np.float32)


def _refuse_photograph(colours: np.ndarray, alpha: np.ndarray, where: str) -> None:
    """Raise for a picture that is no mask: coloured, or grey with a texture that no brush or blur leaves.

    A grey pixel counts as texture where neither black nor white is beside it, which leaves out the soft rims of shapes,
    and where it is a peak or a dip along its row or its column, of which blurred and soft masks have next to none.
    """
    chroma = colours.max(axis=0) - colours.min(axis=0)
    share = float((chroma > COLOURED).mean())
    hint = "; if its transparent part is meant, say repaint transparent" if alpha.min() < NEAR else ""
    if share > MOST_COLOURED:
        raise InputError(f"{where} looks like a picture: {share:.0%} of it is coloured; {WHAT_A_MASK_IS}{hint}")
    grey = colours.mean(axis=0)
    middle = (grey > GREY) & (grey < 1 - GREY)
    rows = middle[:-2] & middle[1:-1] & middle[2:]
    inner = rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:]  # it and its eight neighbours are grey
    if not inner.any():
        return
    peaks = _peaks(grey[1:-1]) | _peaks(grey[:, 1:-1].T).T
    share = float((inner & peaks).mean())
    if share > max(MOST_ROUGH, RIDGES / min(grey.shape)):
        raise InputError(f"{where} looks like a photograph: {share:.0%} of it is grey texture; {WHAT_A_MASK_IS}{hint}")


def _peaks(grey: np.ndarray) -> np.ndarray:
    """Where a row's inner pixels stand out, up or down, from both of their neighbours: [H, W] -> [H, W - 2]."""
    before, after = grey[:, 1:-1] - grey[:, :-2], grey[:, 1:-1] - grey[:, 2:]
    return (before * after > 0) & (np.minimum(np.abs(before), np.abs(after)) > ROUGH)


# Shapes


def hole_of(keep: np.ndarray) -> Box | None:
    """The smallest box that holds everything not known for certain (keep < 1); None if all is known."""
    rows, columns = np.flatnonzero((keep < 1).any(axis=1)), np.flatnonzero((keep < 1).any(axis=0))
    if not len(rows):
        return None
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def distance_to(target: np.ndarray, reach: int) -> np.ndarray:
    """Euclidean distance float32 [H, W], in pixels, to the nearest True pixel of target; beyond `reach` it is infinite.

    Exact, in two passes as Felzenszwalb & Huttenlocher 2012: first along rows, then over the rows within reach.
    """
    far = np.float32(np.inf)
    height, width = target.shape
    places = np.arange(width, dtype=np.int32)
    before = np.maximum.accumulate(np.where(target, places, -(2 * width + reach)), axis=1)
    after = np.minimum.accumulate(np.where(target, places, 3 * width + reach)[:, ::-1], axis=1)[:, ::-1]
    along = np.minimum(places - before, after - places).astype(np.float32)  # [H, W]
    along = np.where(along <= reach, along, far) ** 2
    nearest = along.copy()
    for offset in range(1, min(reach, height - 1) + 1):
        step = np.float32(offset**2)
        np.minimum(nearest[offset:], along[:-offset] + step, out=nearest[offset:])
        np.minimum(nearest[:-offset], along[offset:] + step, out=nearest[:-offset])
    nearest = np.sqrt(nearest)
    return np.where(nearest <= reach, nearest, far)


def feather(keep: np.ndarray, pixels: int) -> np.ndarray:
    """Blending weights [H, W]: the original's share, 1 where known, falling over `pixels` pixels into the hole.

    At distance d from the nearest known pixel the share is 1 - d / (pixels + 1), or that of a soft mask if it is more.
    Known pixels are exactly 1. With 0 pixels it is the mask itself.
    """
    if not 0 <= pixels <= MAX_FEATHER:
        raise InputError(f"feather is {pixels} pixels; it must be from 0 to {MAX_FEATHER}")
    hole = hole_of(keep)
    weights = keep.astype(np.float32, copy=True)
    if hole is None or pixels == 0:
        return weights
    height, width = keep.shape
    left, top = max(0, hole.left - pixels), max(0, hole.top - pixels)
    near = Box(left, top, min(width, hole.right + pixels), min(height, hole.bottom + pixels)).area
    share = 1 - distance_to(keep[near] == 1, pixels) / np.float32(pixels + 1)
    weights[near] = np.maximum(weights[near], np.clip(share, 0, 1))
    return weights
