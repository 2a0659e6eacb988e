"""A part of the moving shapes: 120 clips, of which enough are trained on for a motion distance."""

from __future__ import annotations

from text2x.data.clipset import ClipSet
from text2x.data.moving_shapes import moving_shapes


def some_shapes(every: int = 2) -> ClipSet:
    """Every so many-th colour and shape of 16 px, in all its movements."""
    whole = moving_shapes(16)
    concepts = list(dict.fromkeys(item.concept for item in whole.items))[::every]
    return ClipSet(whole.name, [item for item in whole.items if item.concept in concepts], whole.stored)
