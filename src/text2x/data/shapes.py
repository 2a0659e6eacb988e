"""`shapes`: coloured circles, squares, triangles and the like, drawn by a formula; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from text2x.data.imageset import ImageSet, Item

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 40, 40),
    "orange": (240, 140, 20),
    "yellow": (250, 210, 40),
    "green": (60, 160, 70),
    "blue": (40, 100, 210),
    "purple": (130, 70, 180),
    "pink": (240, 130, 180),
    "brown": (130, 85, 50),
    "black": (30, 30, 30),
    "grey": (140, 140, 140),
}
SAMPLES = 4  # a side, drawn for each pixel and averaged

Inside = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.bool_]]
SHAPES: dict[str, Inside] = {
    "circle": lambda x, y: x**2 + y**2 < 0.7**2,
    "square": lambda x, y: np.maximum(abs(x), abs(y)) < 0.62,
    "triangle": lambda x, y: (y < 0.6) & (2 * abs(x) < y + 0.75),
    "ring": lambda x, y: (x**2 + y**2 < 0.8**2) & (x**2 + y**2 > 0.45**2),
    "diamond": lambda x, y: abs(x) + abs(y) < 0.8,
    "cross": lambda x, y: (np.minimum(abs(x), abs(y)) < 0.22) & (np.maximum(abs(x), abs(y)) < 0.75),
}
STYLES: dict[str, float] = {"large": 1.0, "small": 0.6}  # name -> scale


def draw(inside: Inside, colour: tuple[int, int, int], scale: float, size: int) -> NDArray[np.uint8]:
    """One shape as premultiplied RGBA, [4, size, size]."""
    place = ((np.arange(size * SAMPLES) + 0.5) / (size * SAMPLES) * 2 - 1) / scale
    covered = inside(place[None, :], place[:, None]).astype(np.float64)
    alpha = covered.reshape(size, SAMPLES, size, SAMPLES).mean((1, 3))  # [size, size]
    rgba = np.stack([alpha * channel for channel in colour] + [alpha * 255])
    return (rgba + 0.5).astype(np.uint8)


def shapes(size: int = 32) -> ImageSet:
    """All colours and shapes in two sizes, which are its styles."""
    items, images = [], []
    for shape, inside in SHAPES.items():
        for colour, rgb in COLOURS.items():
            for style, scale in STYLES.items():
                name = f"{colour} {shape}"
                article = "an" if name[0] in "aeiou" else "a"
                items.append(
                    Item(
                        key=f"{style}/{colour}-{shape}",
                        concept=f"{colour}-{shape}",
                        style=style,
                        captions=(name, f"{article} {name}", f"{shape} in {colour}"),
                        group=shape,
                        colours=(colour,),
                        licence="CC0-1.0",
                        flips=True,
                    )
                )
                images.append(draw(inside, rgb, scale, size))
    return ImageSet("shapes", items, np.stack(images))


def prepare_shapes(folder: Path, size: int = 32) -> ImageSet:
    """Draw the set and save it."""
    made = shapes(size)
    made.save(folder)
    return made
