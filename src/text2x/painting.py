"""Edits at full resolution: what a model paints in square windows, put back so that known pixels never change.

`Paint` is all that is seen of a model: it takes a window's pixels [4, S, S] and mask [S, S], 1 = known, and gives the
window painted, [4, S, S]. Everything here is numpy; pictures are premultiplied RGBA in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from text2x.editing import (
    Canvas,
    cut,
    extend,
    feather,
    fill,
    finished,
    hole_of,
    match_colours,
    paste,
    plan,
    put,
    read_mask,
    step_masks,
    to_size,
    window_for,
    zoom,
)
from text2x.editing.masks import Box
from text2x.edits import Inpainting, Outpainting
from text2x.media import Image

Paint = Callable[[np.ndarray, np.ndarray, int], np.ndarray]  # pixels, keep, number of the window -> pixels


def picture_of(source: object) -> Image:
    """An Image as it is, or the one in a file."""
    return source if isinstance(source, Image) else Image.read(source)  # type: ignore[arg-type]


def inpainted(edit: Inpainting, side: int, paint: Paint) -> tuple[Image, tuple[str, ...]]:
    """The picture with its hole painted, and warnings; `side` is that of the model's squares."""
    image = picture_of(edit.image)
    keep, warnings = read_mask(edit.mask, image.width, image.height, edit.repaint)
    hole = hole_of(keep)
    assert hole is not None, "read_mask refuses a mask without a hole"
    window = window_for(hole, image.width, image.height, side)
    pixels, known = cut(image.pixels, keep, window)
    painted = paint(pixels, known, 0)
    # a change map is already in what was painted; other soft masks are a share of the original
    soft = (keep == 1).astype(np.float32) if edit.method == "differential" else keep
    return finished(image, paste(image.pixels, window, painted, feather(soft, edit.feather)), keep), warnings


def outpainted(edit: Outpainting, side: int, paint: Paint) -> Image:
    """The picture inside a larger one, painted window by window from the known to the unknown."""
    canvas = canvas_of(edit)
    original = canvas.keep == 1
    pixels = np.where(original, canvas.image.pixels, fill(canvas.image.pixels, canvas.keep)).astype(np.float32)
    known = original.copy()
    for number, step in enumerate(plan(canvas, side)):
        keep, weights = step_masks(step, known, original)
        seen, _ = cut(pixels, canvas.keep, step.window)
        painted = match_colours(paint(seen, keep, number), seen, keep)
        put(pixels, step.window, painted, weights)
        known[step.box.area] = True
    weights = feather(canvas.keep, edit.feather)
    blended = pixels * (1 - weights) + fill(canvas.image.pixels, canvas.keep) * weights if edit.feather else pixels
    return finished(canvas.image, np.where(original, canvas.image.pixels, blended), canvas.keep)


def canvas_of(edit: Outpainting) -> Canvas:
    """The larger picture that an edit asks for, still to be painted."""
    image = picture_of(edit.image)
    size = edit.size_to()
    if size is not None:
        return to_size(image, *size)
    if edit.zoom is not None:
        return zoom(image, edit.zoom)
    return extend(image, edit.left, edit.right, edit.top, edit.bottom)


def varied(image: Image, side: int, paint: Paint) -> Image:
    """The whole picture painted anew in one square window about it, at its own size."""
    everything = np.zeros((image.height, image.width), dtype=np.float32)
    whole = Box(0, 0, image.width, image.height)
    window = window_for(whole, image.width, image.height, side)
    pixels, inside = cut(image.pixels, 1 - everything, window)
    painted = paint(fill(pixels, inside), np.zeros_like(inside), 0)
    return Image(paste(image.pixels, window, painted, everything))
