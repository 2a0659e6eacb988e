"""Embeddings of time and of the text vector. Shapes: B batch, D width, V vector width, E embedding width."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def sinusoid(t: Tensor, width: int, largest_period: float = 10_000.0) -> Tensor:
    """[B] times in [0, 1] -> [B, width]: cosines, then sines, of 1000 t at geometric frequencies (Ho et al. 2020)."""
    return _waves(1000 * t.float(), width, largest_period)


def step_sinusoid(t: Tensor, width: int, num_steps: int, last_included: bool = False) -> Tensor:
    """The same of a published network's step, t N - 1 of N, [B] -> [B, width] (the inverse of schedules.Betas).

    A step within rounding of a whole one is that one. With `last_included` the frequencies end at 1 / largest_period.
    """
    step = t.double() * num_steps - 1
    whole = step.round()
    step = torch.where((step - whole).abs() < 1e-3, whole, step)  # t in float32 is wrong by up to 6e-5 steps of 1000
    return _waves(step.float(), width, last_included=last_included)


def _waves(angle: Tensor, width: int, largest_period: float = 10_000.0, last_included: bool = False) -> Tensor:
    half = width // 2
    exponents = torch.arange(half, device=angle.device, dtype=torch.float32) / (half - last_included)
    angles = angle[:, None] * torch.exp(-math.log(largest_period) * exponents)  # [B, half]
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def in_fours(layer: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """A layer of [B, D], computed on a multiple of 4 rows, so that a row has the same bits in every batch.

    Matrix products on a CPU sum in another order where 1 to 3 rows are left over.
    """
    count = rows.shape[0]
    return layer(F.pad(rows, (0, 0, 0, -count % 4)))[:count] if count % 4 else layer(rows)


class TimeEmbedding(nn.Module):
    """Time and, added to it, the projected condition vector: the vanilla way to condition on text.

    With `vector_width` 0 there is no vector. The sum is passed through SiLU by those who use it. With `num_steps` a
    published network is told its step, t N - 1, in place of 1000 t; `linear` projects the vector by one layer.
    """

    def __init__(
        self,
        width: int,
        vector_width: int = 0,
        frequencies: int = 256,
        num_steps: int = 0,
        linear: bool = False,
        last_included: bool = False,  # see step_sinusoid
    ) -> None:
        super().__init__()
        self.frequencies, self.num_steps, self.last_included = frequencies, num_steps, last_included
        self.mlp = nn.Sequential(nn.Linear(frequencies, width), nn.SiLU(), nn.Linear(width, width))
        self.vector = _projection(vector_width, width, linear) if vector_width else None

    def project(self, vector: Tensor | None) -> Tensor | None:
        """[B, V] -> [B, E], which does not depend on time; None stays None."""
        if vector is None or self.vector is None:
            return None
        return in_fours(self.vector, vector)

    def forward(self, t: Tensor, projected: Tensor | None) -> Tensor:
        """[B] and the projected vector [B, E] -> [B, E]."""
        if self.num_steps:
            waves = step_sinusoid(t, self.frequencies, self.num_steps, self.last_included)
        else:
            waves = sinusoid(t, self.frequencies)
        embedding = in_fours(self.mlp, waves.to(next(self.parameters()).dtype))  # [B, E]
        return embedding if projected is None else embedding + projected


def _projection(vector_width: int, width: int, linear: bool) -> nn.Module:
    if linear:
        return nn.Linear(vector_width, width)
    return nn.Sequential(nn.Linear(vector_width, width), nn.SiLU(), nn.Linear(width, width))
