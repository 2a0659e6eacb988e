"""Editing geometry: masks (1 = known), square windows, canvases and pasting back; numpy and PIL only, no torch."""

from text2x.editing.canvas import Canvas, extend, to_size, zoom
from text2x.editing.colours import fill, match_colours
from text2x.editing.masks import Box, box_mask, distance_to, feather, hole_of, read_box, read_mask
from text2x.editing.plans import Step, plan, step_masks
from text2x.editing.windows import (
    Window,
    cut,
    finished,
    paste,
    paste_bytes,
    put,
    scale_keep,
    scale_to,
    window_for,
)

__all__ = [
    "Box", "Canvas", "Step", "Window", "box_mask", "cut", "distance_to", "extend", "feather", "fill", "finished",
    "hole_of", "match_colours", "paste", "paste_bytes", "plan", "put", "read_box", "read_mask", "scale_keep",
    "scale_to", "step_masks", "to_size", "window_for", "zoom",
]  # fmt: skip
