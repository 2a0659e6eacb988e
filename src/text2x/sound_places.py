"""Where in its sound a frame lies: what a network with relative positions alone cannot tell, [B, PLACES, S].

A strike is loud at its beginning and a note fades to its end, but attention that knows differences of places only
learns where these are from what is missing beyond them. A frame's places are whether it is of the sound and not of the
silence behind it, and how near it is to the beginning and to the end, each as exp(-seconds / scale) for several scales.
A loop has neither beginning nor end: all its places are 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

SCALES = (0.05, 0.2, 0.8, 3.2)  # seconds
PLACES = 1 + 2 * len(SCALES)
FAR = 1e4  # seconds: of a part in the middle of a sound


def places(since: Tensor, left: Tensor, frames: int, frame_seconds: float) -> Tensor:
    """[B] seconds of sound before the first frame, and from its beginning to the sound's end -> [B, PLACES, S]."""
    middle = (torch.arange(frames, device=since.device) + 0.5) * frame_seconds
    past, ahead = since.float()[:, None] + middle, left.float()[:, None] - middle  # [B, S] seconds
    inside = (ahead > 0).float()
    near = [(-past / scale).exp() for scale in SCALES]
    near += [inside * (-ahead.clamp_min(0) / scale).exp() for scale in SCALES]
    return torch.stack([inside, *near], dim=1)
