"""Plans: in which windows, one after the other, a canvas is painted, so that each one sees enough of what is there.

The known part grows in rounds and is a rectangle after each: first the sides, then the corners, each window with at
most half of its side new. Small pictures grow in one window a round.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from text2x.editing.canvas import Canvas
from text2x.editing.masks import Box, distance_to
from text2x.editing.windows import MAX_SIDE, Window, placed
from text2x.errors import InputError

WIDEST_SEAM = 64  # pixels, unless another is asked for
MAX_STEPS = 2000  # windows: hours of work, and a sign of a picture as thin as a thread


@dataclass(frozen=True)
class Step:
    """One window to paint; of what it paints, the unknown pixels of `box` are taken, and a seam beside them."""

    window: Window
    box: Box  # in the canvas's pixels
    seam: int  # pixels of what earlier steps painted that are painted again and blended


def plan(canvas: Canvas, side: int, seam: int | None = None, largest: int | None = None) -> list[Step]:
    """The steps that paint all of the canvas around its original, for a model of this side.

    Windows are at most `largest` pixels a side, by default twice what the model or the widest extension has. In each,
    at least a quarter of what lies on the canvas is known, and half wherever only one side grows. `seam` is by default
    an eighth of a window up to WIDEST_SEAM; a quarter is the most. Raises InputError for more than MAX_STEPS windows.
    """
    known = canvas.original
    whole = Box(0, 0, canvas.image.width, canvas.image.height)
    widest = max(known.left, known.top, whole.right - known.right, whole.bottom - known.bottom)
    usual = min(2 * max(side, widest), max(2 * side, 4 * min(whole.width, whole.height)))  # a thin strip stays visible
    largest = max(2, min(MAX_SIDE, largest or usual))
    steps: list[Step] = []
    while known != whole:
        windows, known = _round(known, whole, largest)
        for window, box in windows:
            band = min(window.side // 8, WIDEST_SEAM) if seam is None else min(seam, window.side // 4)
            steps.append(Step(window, box, band))
            if len(steps) > MAX_STEPS:
                raise InputError(
                    f"{whole.width:,} x {whole.height:,} pixels around {canvas.original.width:,} x "
                    f"{canvas.original.height:,} need more than {MAX_STEPS:,} windows; add less at a time"
                )
    return steps


def step_masks(step: Step, known: np.ndarray, original: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a step's model is told, keep [S, S], and the share of what is there in the blend with it, weights [S, S].

    known [H, W] is True where the canvas holds pixels, of the original or painted by earlier steps; original [H, W] is
    True on the original, which is never painted again. In the seam the share rises from the new pixels to 1 away from
    them. After `put`, mark the step as done: `known[step.box.area] = True`.
    """
    box, own = step.window.within(known.shape[1], known.shape[0])
    there = np.zeros((step.window.side, step.window.side), dtype=bool)
    there[own.area] = known[box.area]
    first = np.zeros_like(there)
    first[own.area] = original[box.area]
    wanted = np.zeros_like(there)
    left, top = step.box.left - step.window.left, step.box.top - step.window.top
    wanted[top : top + step.box.height, left : left + step.box.width] = True
    new = wanted & ~there
    distance = distance_to(new, step.seam)
    band = there & ~first & np.isfinite(distance)
    weights = np.where(new, 0, np.where(band, distance / (step.seam + 1), 1)).astype(np.float32)
    return (there & ~band).astype(np.float32), weights


def _round(known: Box, whole: Box, largest: int) -> tuple[Iterator[tuple[Window, Box]], Box]:
    """The windows of one round, each with the part it adds, and what is known after it."""
    growing = [have for have, aim in ((known.width, whole.width), (known.height, whole.height)) if have < aim]
    side = min(largest, 2 * min(growing))  # so that what is known fills half of a window each way that it grows
    if max(known.width, known.height) <= side:
        left, right = _stretched(known.left, known.right, whole.right, side)
        top, bottom = _stretched(known.top, known.bottom, whole.bottom, side)
        aim = Box(left, top, right, bottom)
        if aim == whole or side < largest:
            square = max(aim.width, aim.height)
            middle = ((left + right) // 2, (top + bottom) // 2)
            window = Window(
                placed(middle[0], square, 0, whole.right), placed(middle[1], square, 0, whole.bottom), square
            )
            return iter([(window, aim)]), aim
    half = side // 2
    left, top = max(0, known.left - half), max(0, known.top - half)
    aim = Box(left, top, min(whole.right, known.right + half), min(whole.bottom, known.bottom + half))
    return _around(known, aim, whole, side), aim


def _stretched(start: int, end: int, size: int, length: int) -> tuple[int, int]:
    """A stretch of at most `length` within 0 and size, grown to both sides in proportion to the room there."""
    before, after = start, size - end
    more = min(length - (end - start), before + after)
    if more <= 0:
        return start, end
    first = more * before // (before + after)
    return start - first, end + more - first


def _around(known: Box, aim: Box, whole: Box, side: int) -> Iterator[tuple[Window, Box]]:
    """Sides, then corners: every window ends where the new part ends, so it holds as much of the known as it can."""
    columns = [(aim.left, known.left, aim.left), (known.right, aim.right, aim.right - side)]  # from, to, window's left
    rows = [(aim.top, known.top, aim.top), (known.bottom, aim.bottom, aim.bottom - side)]
    for start, end, left in columns:
        for top in _along(known.top, known.bottom, whole.bottom, side) if end > start else ():
            box = Box(start, max(known.top, top), end, min(known.bottom, top + side))
            yield Window(left, top, side), box
    for start, end, top in rows:
        for left in _along(known.left, known.right, whole.right, side) if end > start else ():
            box = Box(max(known.left, left), start, min(known.right, left + side), end)
            yield Window(left, top, side), box
    for first, last, left in columns:
        for start, end, top in rows:
            if last > first and end > start:
                yield Window(left, top, side), Box(first, start, last, end)


def _along(start: int, end: int, size: int, side: int) -> Iterator[int]:
    """Where windows begin that cover a stretch, each overlapping the one before by half or more."""
    if end - start <= side:
        yield placed((start + end) // 2, side, 0, size)
        return
    yield from range(start, end - side, max(1, side // 2))
    yield end - side
