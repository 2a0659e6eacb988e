"""Edits at full resolution: what a model paints in square windows, put back so that known pixels never change.

`Paint` is all that is seen of a model: it takes a window's pixels [4, S, S] and mask [S, S], 1 = known, and gives the
window painted, [4, S, S]. Everything here is numpy; pictures are premultiplied RGBA in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import PIL.Image

from text2x.editing import (
    Canvas,
    cut,
    distance_to,
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
from text2x.editing.windows import Window, bounded
from text2x.edits import Inpainting, Outpainting
from text2x.media import Image

MOST_ALPHA = 0.5  # mean along the edges of a picture that counts as lying free on nothing
OUTLINE = 0.5  # a step at a picture's own edge above which something ends there, in [-1, 1]
STRETCHES = 12  # over which steps at the hole's border are averaged, along a window's side; they fade over one

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
    painted = met(paint(pixels, known, 0), pixels, known)
    # a change map is already in what was painted; other soft masks are a share of the original
    soft = (keep == 1).astype(np.float32) if edit.method == "differential" else keep
    return finished(image, paste(image.pixels, window, painted, feather(soft, edit.feather)), keep), warnings


def outpainted(edit: Outpainting, side: int, paint: Paint) -> Image:
    """The picture inside a larger one, painted window by window from the known to the unknown."""
    canvas = canvas_of(edit)
    original = canvas.keep == 1
    pixels = np.where(original, canvas.image.pixels, fill(canvas.image.pixels, canvas.keep)).astype(np.float32)
    known = original.copy()
    nothing_beyond = _clear_border(canvas)
    for number, step in enumerate(plan(canvas, side)):
        keep, weights = step_masks(step, known, original)
        if nothing_beyond:
            keep = np.where(_inside(step.window, canvas), keep, 1).astype(np.float32)
        seen, _ = cut(pixels, canvas.keep, step.window)
        painted = met(match_colours(paint(seen, keep, number), seen, keep), seen, keep, OUTLINE)
        put(pixels, step.window, painted, weights)
        known[step.box.area] = True
    weights = feather(canvas.keep, edit.feather)
    blended = pixels * (1 - weights) + fill(canvas.image.pixels, canvas.keep) * weights if edit.feather else pixels
    return finished(canvas.image, np.where(original, canvas.image.pixels, blended), canvas.keep)


def met(painted: np.ndarray, pixels: np.ndarray, keep: np.ndarray, largest: float = 2.0) -> np.ndarray:
    """The painted window [4, S, S] moved so that the hole meets what is known around it, keep [S, S], 1 = known.

    The steps from known pixels to their neighbours inside, averaged over stretches of a twelfth of the window, are
    spread into the hole and fade with the distance (after the membrane of Perez et al. 2003): a shift of colour goes,
    what is drawn stays. Steps above `largest` in any channel count as outlines and are left out; 2 leaves out none.
    """
    known = keep == 1
    steps = np.zeros_like(painted)
    counts = np.zeros(keep.shape, dtype=np.float32)
    for axis, shift in ((0, 1), (0, -1), (1, 1), (1, -1)):
        beside = np.roll(known, shift, axis) & ~known
        beside.swapaxes(0, axis)[0 if shift == 1 else -1] = False  # the window's other side is no neighbour
        step = np.roll(pixels, shift, axis + 1) - painted
        beside &= np.abs(step).max(axis=0) <= largest
        steps += np.where(beside, step, 0)
        counts += beside
    if not counts.any():
        return painted
    side, stretches = keep.shape[-1], min(STRETCHES, keep.shape[-1])
    total = _resized(counts[None], stretches)
    means = _resized(steps, stretches) / np.where(total > 0, total, 1)
    shifts = _resized(fill(means, (total[0] > 0).astype(np.float32)), side)
    reach = max(2, side // STRETCHES)
    fade = np.clip(1 - (distance_to(known, reach) - 1) / reach, 0, 1)
    return bounded(painted + shifts * fade)


def _resized(channels: np.ndarray, size: int) -> np.ndarray:
    """[C, S, S] -> [C, size, size]: smaller by means over areas, larger linearly."""
    how = PIL.Image.Resampling.BOX if size < channels.shape[-1] else PIL.Image.Resampling.BILINEAR
    resized = [PIL.Image.fromarray(channel.astype(np.float32)).resize((size, size), how) for channel in channels]
    return np.stack([np.asarray(channel) for channel in resized])


def _clear_border(canvas: Canvas) -> bool:
    """Whether the picture is mostly transparent along its edges, so that beyond its canvas there is nothing."""
    alpha = canvas.image.pixels[3, *canvas.original.area]
    edges = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
    return float((edges + 1).mean() / 2) < MOST_ALPHA


def _inside(window: Window, canvas: Canvas) -> np.ndarray:
    """[S, S] True where a window lies on the canvas."""
    _, own = window.within(canvas.image.width, canvas.image.height)
    inside = np.zeros((window.side, window.side), dtype=bool)
    inside[own.area] = True
    return inside


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
