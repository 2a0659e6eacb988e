"""Drawn clips for tests: a spotted disc that falls, goes in a circle, or moves at a known speed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from text2x.moving import Video

Path = Callable[[float], tuple[float, float]]  # frame -> place of the middle in pixels, x and y


def disc(path: Path, frames: int = 12, size: int = 32, rate: float = 12.0, seed: int = 0) -> Video:
    """A disc of a quarter of the side, its spots go with it; edges are soft, the rest is transparent."""
    rng = np.random.default_rng(seed)
    waves = rng.uniform(-1.2, 1.2, (3, 4, 2))  # of each colour: four plane waves
    shown = np.zeros((frames, 4, size, size), np.float32)
    rows, columns = np.indices((size, size))
    for number in range(frames):
        x, y = path(number)
        across, down = columns - x, rows - y
        alpha = np.clip(size / 4 - np.hypot(across, down) + 0.5, 0, 1)
        for colour in range(3):
            wave = sum(np.sin(u * across + v * down) for u, v in waves[colour])
            shown[number, colour] = alpha * np.clip(0.5 + wave / 6, 0, 1)
        shown[number, 3] = alpha
    return Video(shown * 2 - 1, rate)


def falling(seed: int, frames: int = 12, size: int = 32) -> Video:
    """It begins somewhere above with some speed to the side, and gathers speed downwards."""
    rng = np.random.default_rng([seed, 1])
    x, y, aside, pull = rng.uniform((12, 9, -0.5, 0.08), (20, 11, 0.5, 0.16))
    return disc(lambda t: (x + aside * t, y + pull * t * t), frames, size, seed=seed)


def circling(seed: int = 0, frames: int = 12, size: int = 32, turn: float = 1.0) -> Video:
    """It goes round `turn` times in all the frames: with a whole number, a perfect loop."""
    rng = np.random.default_rng([seed, 2])
    start, reach = rng.uniform((0, 3), (2 * np.pi, 5))

    def path(t: float) -> tuple[float, float]:
        angle = start + 2 * np.pi * turn * t / frames
        return size / 2 + reach * np.cos(angle), size / 2 + reach * np.sin(angle)

    return disc(path, frames, size, seed=seed)


def stored(video: Video) -> np.ndarray:
    """Its frames as sets keep them, uint8."""
    return np.rint((video.frames + 1) * 127.5).astype(np.uint8)
