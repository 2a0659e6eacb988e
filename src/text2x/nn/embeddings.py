"""Embeddings of time and of the text vector. Shapes: B batch, D width, V vector width, E embedding width."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def sinusoid(t: Tensor, width: int, largest_period: float = 10_000.0) -> Tensor:
    """[B] times in [0, 1] -> [B, width]: cosines, then sines, of 1000 t at geometric frequencies (Ho et al. 2020)."""
    half = width // 2
    exponents = torch.arange(half, device=t.device, dtype=torch.float32) / half
    angles = 1000 * t.float()[:, None] * torch.exp(-math.log(largest_period) * exponents)  # [B, half]
    return torch.cat([angles.cos(), angles.sin()], dim=1)


def in_fours(layer: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
    """A layer of [B, D], computed on a multiple of 4 rows, so that a row has the same bits in every batch.

    Matrix products on a CPU sum in another order where 1 to 3 rows are left over.
    """
    count = rows.shape[0]
    return layer(F.pad(rows, (0, 0, 0, -count % 4)))[:count] if count % 4 else layer(rows)


class TimeEmbedding(nn.Module):
    """Time and, added to it, the projected condition vector: the vanilla way to condition on text.

    With `vector_width` 0 there is no vector. The sum is passed through SiLU by those who use it.
    """

    def __init__(self, width: int, vector_width: int = 0, frequencies: int = 256) -> None:
        super().__init__()
        self.frequencies = frequencies
        self.mlp = nn.Sequential(nn.Linear(frequencies, width), nn.SiLU(), nn.Linear(width, width))
        self.vector = (
            nn.Sequential(nn.Linear(vector_width, width), nn.SiLU(), nn.Linear(width, width)) if vector_width else None
        )

    def project(self, vector: Tensor | None) -> Tensor | None:
        """[B, V] -> [B, E], which does not depend on time; None stays None."""
        if vector is None or self.vector is None:
            return None
        return in_fours(self.vector, vector)

    def forward(self, t: Tensor, projected: Tensor | None) -> Tensor:
        """[B] and the projected vector [B, E] -> [B, E]."""
        embedding = in_fours(self.mlp, sinusoid(t, self.frequencies).to(next(self.parameters()).dtype))  # [B, E]
        return embedding if projected is None else embedding + projected
