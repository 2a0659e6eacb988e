"""Square windows on a picture: cut out, scale to a model's side and back, paste; pixels are [4, H, W], 1 = known.

Models paint squares. A window may reach beyond the picture; what lies outside is transparent and unknown. What is known
for certain (keep == 1) is never computed anew, so it comes back bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import PIL.Image

from text2x.editing.colours import fill
from text2x.editing.masks import Box
from text2x.errors import InputError
from text2x.media import Image

MAX_SIDE = (
    5000  # of a window in pixels: 16 megapixels are 4000 x 4000, and 4 float32 channels of 5000 x 5000 are 400 MB
)


@dataclass(frozen=True)
class Window:
    """A square of the picture's pixels with its upper left corner at (left, top), which may be negative."""

    left: int
    top: int
    side: int

    def within(self, width: int, height: int) -> tuple[Box, Box]:
        """The part that lies on a picture of this size: in the picture's pixels, and in the window's own."""
        right, bottom = min(width, self.left + self.side), min(height, self.top + self.side)
        box = Box(max(0, self.left), max(0, self.top), right, bottom)
        if box.width <= 0 or box.height <= 0:
            raise ValueError(f"{self} lies beyond a picture of {width} x {height} pixels")
        own = Box(box.left - self.left, box.top - self.top, box.right - self.left, box.bottom - self.top)
        return box, own


def window_for(hole: Box, width: int, height: int, side: int) -> Window:
    """The square in which a model of this side paints the hole of a picture of width x height pixels.

    It is the whole picture, centred, if that is at most twice the model's side. Otherwise it is at least twice as long
    as the hole, so that half of it is known, at least `side` and at most the picture's longer side, with the hole in
    its middle unless the picture ends there. Raises InputError for a hole longer than MAX_SIDE.
    """
    longer, reach = max(width, height), max(hole.width, hole.height)
    if reach > MAX_SIDE:
        size = f"{hole.width:,} x {hole.height:,} pixels"
        raise InputError(f"the part to repaint has {size}; at most {MAX_SIDE:,} a side: shrink the picture")
    square = longer if longer <= 2 * side else min(longer, max(side, 2 * reach), MAX_SIDE)
    left = placed(hole.left + hole.width // 2, square, 0, width)
    top = placed(hole.top + hole.height // 2, square, 0, height)
    return Window(left, top, square)


def placed(middle: int, side: int, start: int, end: int) -> int:
    """Where a stretch of `side` begins that is about `middle` and within start and end; centred if it is longer."""
    if side >= end - start:
        return start - (side - (end - start)) // 2
    return min(max(middle - side // 2, start), end - side)


def cut(pixels: np.ndarray, keep: np.ndarray, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """The window's pixels [4, S, S] and mask [S, S]; beyond the picture they are transparent (-1) and unknown (0)."""
    box, own = window.within(keep.shape[1], keep.shape[0])
    piece = np.full((len(pixels), window.side, window.side), -1, dtype=np.float32)
    mask = np.zeros((window.side, window.side), dtype=np.float32)
    piece[:, *own.area] = pixels[:, *box.area]
    mask[own.area] = keep[box.area]
    return piece, mask


# Scaling


def scale_to(pixels: np.ndarray, size: int, keep: np.ndarray | None = None) -> np.ndarray:
    """A square [4, S, S] as [4, size, size]: smaller by the mean over areas, larger by Lanczos' filter.

    With the mask [S, S], what becomes of the known pixels holds nothing of the hole: means lie within one pixel of the
    small picture (see scale_keep), and before Lanczos the hole takes the colours around it.
    """
    side = pixels.shape[-1]
    if size == side:
        return pixels.astype(np.float32, copy=True)
    if size > side and keep is not None:
        pixels = fill(pixels, keep)
    how = PIL.Image.Resampling.BOX if size < side else PIL.Image.Resampling.LANCZOS
    channels = [PIL.Image.fromarray(np.ascontiguousarray(channel, dtype=np.float32)) for channel in pixels]
    return bounded(np.stack([np.asarray(channel.resize((size, size), how)) for channel in channels]))


def scale_keep(keep: np.ndarray, size: int) -> np.ndarray:
    """A mask [S, S] as [size, size]: the least of all that a pixel covers, so one is known only if all of it is."""
    return _least(_least(keep.astype(np.float32), size).T, size).T.copy()


def _least(keep: np.ndarray, size: int) -> np.ndarray:
    """The least over the rows that each of `size` rows covers, even in part."""
    rows = np.arange(size + 1, dtype=np.int64) * len(keep)
    bounds = np.stack([rows[:-1] // size, -(-rows[1:] // size)], axis=1).reshape(-1)  # from, to, from, to, ...
    ended = np.concatenate([keep, np.ones_like(keep[:1])])  # so that a range may end with the last row
    return np.minimum.reduceat(ended, bounds, axis=0)[::2]


def bounded(pixels: np.ndarray) -> np.ndarray:
    """Pixels [4, H, W] within [-1, 1] and no colour above alpha."""
    alpha = np.clip(pixels[3], -1, 1)
    return np.concatenate([np.clip(pixels[:3], -1, alpha), alpha[None]]).astype(np.float32, copy=False)


# Pasting


def paste(original: np.ndarray, window: Window, painted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The original [4, H, W] with the painted window [4, S, S] in it; weights [H, W] are the original's share.

    Where the share is 1 the original's float32 values stay bit for bit; see `feather` for shares.
    """
    pixels = original.astype(np.float32, copy=True)
    box, own = window.within(original.shape[2], original.shape[1])
    share = np.ones((window.side, window.side), dtype=np.float32)
    share[own.area] = weights[box.area]
    put(pixels, window, painted, share)
    return pixels


def put(pixels: np.ndarray, window: Window, painted: np.ndarray, weights: np.ndarray) -> None:
    """Paste in place: pixels [4, H, W] take what is painted [4, S, S]; weights [S, S] are the share that stays."""
    side = window.side
    if painted.shape != (len(pixels), side, side) or weights.shape != (side, side):
        raise ValueError(f"painted {list(painted.shape)} and weights {list(weights.shape)} are not of side {side}")
    box, own = window.within(pixels.shape[2], pixels.shape[1])
    share = weights[own.area].astype(np.float32)
    there = pixels[:, *box.area]
    blended = bounded(painted[:, *own.area]) * (1 - share) + there * share
    pixels[:, *box.area] = np.where(share >= 1, there, blended)


def paste_bytes(original: np.ndarray, edited: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Straight bytes [H, W, 4]: the original's, hidden colours too, where keep [H, W] is 1, else the edited."""
    return np.where((keep == 1)[..., None], original, edited)


def finished(original: Image, pixels: np.ndarray, keep: np.ndarray) -> Image:
    """The edited picture: the original's values and bytes where keep [H, W] is 1, elsewhere pixels [4, H, W].

    Colours that the original hides where it is fully transparent are kept there, in memory and in the file.
    """
    edited = Image(np.where(keep == 1, original.pixels, pixels))
    if original.straight is None:
        return edited
    return Image(edited.pixels, paste_bytes(original.to_uint8(), edited.to_uint8(), keep))
