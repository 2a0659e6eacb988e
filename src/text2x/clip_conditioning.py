"""What networks of moving pictures are told of a clip beside words: numbers at the end of the condition's vector.

They are TOLD in all: log2(rate / 12), whether the rate is known, motion / 10, whether it is known, whether the clip
loops, and 1 (0: a single picture). Unknown values are 0. Shapes: B batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

TOLD = 6
USUAL_RATE = 12.0  # frames/s, at which the first number is 0: that of stored clips
MOST_MOTION = 10.0  # of the scale on which motion is told


def told_numbers(rates: Tensor, motion: Tensor, loops: Tensor, pictures: bool = False) -> Tensor:
    """[B] frames/s (0: unknown), [B] motion of 0 to 10 (negative: unknown), [B] bool -> [B, TOLD]."""
    rates, motion = rates.float(), motion.float()
    if pictures:
        return rates.new_zeros(len(rates), TOLD)
    rated, moves = rates > 0, motion >= 0
    speed = torch.where(rated, torch.log2(rates.clamp_min(1e-3) / USUAL_RATE), 0.0)
    moved = torch.where(moves, motion / MOST_MOTION, 0.0)
    columns = [speed, rated.float(), moved, moves.float(), loops.float(), torch.ones_like(rates)]
    return torch.stack(columns, dim=1)


def loops_of(told: Tensor) -> Tensor:
    """[B, TOLD] -> [B] bool: which clips loop."""
    return told[:, 4] > 0.5
