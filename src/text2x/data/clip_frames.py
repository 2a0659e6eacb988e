"""From a file's frames to those that are stored: another rate, square, smaller, uint8 [T, 4, S, S] premultiplied."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from text2x.data import drawing
from text2x.data.folder import Fit
from text2x.errors import InputError
from text2x.moving import RATES
from text2x.video_files import sampled
from text2x.video_streams import Shot

RATE = 12.0  # frames/s that are stored at most: half of film, as most drawn animation is
MOST_FRAMES = 48  # 4 seconds of them
PEEK = 8  # frames that tell a file's own rate
ROUNDING = 0.05  # a rate that is so much above a multiple of the wanted one counts as the multiple


@dataclass(frozen=True)
class Storing:
    """How frames are stored."""

    size: int = 64
    rate: float = RATE
    frames: int = MOST_FRAMES
    fit: Fit = "pad"

    def __post_init__(self) -> None:
        if not RATES[0] <= self.rate <= RATES[1]:
            raise InputError(f"the rate is {self.rate:g} frames/s; it must be from {RATES[0]:g} to {RATES[1]:g}")
        if self.frames < 2:
            raise InputError(f"{self.frames} frames a clip are too few; store at least 2")
        if self.fit not in ("pad", "crop"):
            raise InputError(f"unknown fit {self.fit!r}; it is pad or crop")


def stored_frames(shots: Iterable[Shot], storing: Storing) -> tuple[NDArray[np.uint8], float, bool]:
    """Frames [T, 4, size, size], their rate, and whether the file is longer than that.

    Every n-th frame is taken, n as small as the wanted rate allows, from the beginning on.
    """
    iterator = iter(shots)
    first = list(itertools.islice(iterator, PEEK))
    lengths = [shot.seconds for shot in first if shot.seconds > 0] or [1 / storing.rate]
    own = len(lengths) / sum(lengths)
    rate = max(RATES[0], own / max(1, math.ceil(own / storing.rate - ROUNDING)))
    chosen = sampled(itertools.chain(first, iterator), rate, storing.frames, slack=0.25 / own)
    frames = [stored_frame(straight, storing.size, storing.fit) for straight in chosen]
    return np.stack(frames), rate, next(iterator, None) is not None


def stored_frame(straight: NDArray[np.uint8], size: int, fit: Fit = "pad") -> NDArray[np.uint8]:
    """One frame [H, W, 4] with straight alpha as [4, size, size], premultiplied: padded to a square, or its middle."""
    height, width = straight.shape[:2]
    side = min(height, width) if fit == "crop" else max(height, width)
    top, left = abs(side - height) // 2, abs(side - width) // 2
    if fit == "crop":
        straight = straight[top : top + side, left : left + side]
    elif height != width:
        square = np.zeros((side, side, 4), np.uint8)
        square[top : top + height, left : left + width] = straight
        straight = square
    pixels = np.divide(straight, 255, dtype=np.float32).transpose(2, 0, 1).copy()
    pixels[:3] *= pixels[3:]
    return drawing.to_uint8(drawing.area_mean(pixels, size))
