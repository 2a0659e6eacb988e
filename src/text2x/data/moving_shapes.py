"""`moving-shapes`: coloured shapes that slide, jump, circle or pulse, drawn by a formula; every clip is a loop."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from text2x.data.clipset import Clip, ClipSet
from text2x.data.shapes import COLOURS, SAMPLES, SHAPES, Inside

STYLE = "moving"
FRAMES = 12  # of a clip, which is one period
RATE = 12.0  # frames/s
REACH = 0.4  # of half of the side: how far a shape goes from the middle

Place = Callable[[float], tuple[float, float, float]]  # share of the period -> across, down, scale
MOTIONS: dict[str, Place] = {
    "sliding": lambda share: (REACH * math.sin(2 * math.pi * share), 0.0, 0.6),
    "jumping": lambda share: (0.0, REACH * (0.5 - abs(math.sin(math.pi * share))), 0.6),
    "circling": lambda share: (
        REACH * math.cos(2 * math.pi * share),
        REACH * math.sin(2 * math.pi * share),
        0.6,
    ),
    "pulsing": lambda share: (0.0, 0.0, 0.65 + 0.3 * math.sin(2 * math.pi * share)),
}


def draw_clip(inside: Inside, colour: tuple[int, int, int], place: Place, size: int) -> NDArray[np.uint8]:
    """One period of a moving shape as premultiplied RGBA, [FRAMES, 4, size, size]."""
    grid = (np.arange(size * SAMPLES) + 0.5) / (size * SAMPLES) * 2 - 1
    frames = []
    for number in range(FRAMES):
        across, down, scale = place(number / FRAMES)
        covered = inside((grid[None, :] - across) / scale, (grid[:, None] - down) / scale).astype(np.float64)
        alpha = covered.reshape(size, SAMPLES, size, SAMPLES).mean((1, 3))
        frames.append(np.stack([alpha * channel for channel in colour] + [alpha * 255]))
    return (np.stack(frames) + 0.5).astype(np.uint8)


def moving_shapes(size: int = 16) -> ClipSet:
    """All colours, shapes and ways to move; `motion` is how far a shape goes in a second, in hundredths of the side."""
    items, stored = [], []
    for shape, inside in SHAPES.items():
        for colour, rgb in COLOURS.items():
            for motion, place in MOTIONS.items():
                name = f"{colour} {shape}"
                article = "an" if name[0] in "aeiou" else "a"
                places = np.array([place(number / 1000) for number in range(1001)])
                length = float(np.abs(np.diff(places, axis=0)).sum()) / 2  # sides a period
                items.append(
                    Clip(
                        key=f"{motion}/{colour}-{shape}",
                        concept=f"{colour}-{shape}",
                        style=STYLE,
                        captions=(f"{name} {motion}", f"{article} {name} {motion}", f"{motion} {shape} in {colour}"),
                        group=motion,
                        start=len(stored) * FRAMES,
                        frames=FRAMES,
                        rate=RATE,
                        motion=round(100 * length * RATE / FRAMES, 3),
                        seam=1.0,
                        licence="CC0-1.0",
                        flips=True,
                    )
                )
                stored.append(draw_clip(inside, rgb, place, size))
    return ClipSet("moving-shapes", items, np.concatenate(stored))
