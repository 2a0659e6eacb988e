"""Optical flow of stored frames (uint8 [T, 4, S, S], premultiplied RGBA): how much moves, and how well a loop closes.

Farneback's method by OpenCV, which has no weights. Flow is [H, W, 2] in pixels, x first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from text2x.errors import InputError

# Farneback 2003: neighbourhoods of 5 pixels with a Gaussian of 1.1 (OpenCV's advice for 5), on 3 scales of a half.
SETTINGS = {"pyr_scale": 0.5, "levels": 3, "winsize": 9, "iterations": 5, "poly_n": 5, "poly_sigma": 1.1, "flags": 0}
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # of red, green and blue, ITU-R BT.709
GREY = 0.5  # what transparent places show, so that both dark and bright drawings stand out


def grey_levels(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[T, H, W] brightness of frames [T, 4, H, W] over a middle grey."""
    values = np.divide(frames, 255, dtype=np.float32)
    bright = np.einsum("tchw,c->thw", values[:, :3], LUMINANCE) + (1 - values[:, 3]) * GREY
    return np.rint(np.clip(bright, 0, 1) * 255).astype(np.uint8)


def flow(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[H, W, 2] where each pixel of a grey frame [H, W] has gone in the next one: after(p + flow(p)) = before(p)."""
    return _cv2().calcOpticalFlowFarneback(before, after, None, **SETTINGS)


def flows(frames: NDArray[np.uint8]) -> Iterator[NDArray[np.float32]]:
    """The flow of each frame to the next, T - 1 of them."""
    grey = grey_levels(frames)
    for before, after in zip(grey, grey[1:], strict=False):
        yield flow(before, after)


def motion(frames: NDArray[np.uint8], rate: float) -> float:
    """Mean length of the flow over what is drawn in either frame, in hundredths of the side a second.

    0 for a single frame, and for one that shows nothing.
    """
    drawn = frames[:, 3] > 0
    lengths = []
    for place, moved in enumerate(flows(frames)):
        seen = drawn[place] | drawn[place + 1]
        lengths.append(float(np.hypot(moved[..., 0], moved[..., 1])[seen].mean()) if seen.any() else 0.0)
    return 100 * rate * float(np.mean(lengths)) / frames.shape[-1] if lengths else 0.0


def steps(frames: NDArray[Any]) -> NDArray[np.float64]:
    """[T] mean absolute difference of each frame to the next one, the last one's to the first."""
    values = np.asarray(frames, np.float32)
    return np.array([np.abs(values[place - 1] - values[place]).mean(dtype=np.float64) for place in _next(len(values))])


def _next(count: int) -> list[int]:
    return [(place + 1) % count for place in range(count)]


def seam(frames: NDArray[Any]) -> float:
    """The step from the last frame to the first over the mean of the other steps; 0 where all are equal.

    A clip of fewer than 3 frames, or one that jumps back after standing still, has no loop: a large number (10^6).
    """
    sizes = steps(frames)
    inner = float(sizes[:-1].mean()) if len(frames) > 2 else 0.0
    if inner == 0:
        return 0.0 if len(frames) > 2 and sizes[-1] == 0 else 1e6
    return min(float(sizes[-1]) / inner, 1e6)


def _cv2() -> Any:
    try:
        import cv2
    except ImportError:
        raise InputError("optical flow needs the package opencv-python-headless; install text2x[data]") from None
    return cv2
