"""Blocks of the acoustic models in one dimension; x is [B, C, T], T phones or frames, and masks are [B, 1, T].

A mask is 1 where there is something. What is masked is kept at zero, so that an item is the same with any padding.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LAYER_SCALE = 0.1  # of a residual branch at the start (Liu et al. 2022 use 1e-6 for far deeper networks)


class ConvNeXt1d(nn.Module):
    """Depthwise convolution, norm, widening, GELU, narrowing, added to x (Liu et al. 2022; in 1-D Siuzdak 2023, Vocos).

    With `embedding_width` an embedding scales and shifts the norm and gates the branch, which begins at zero
    (adaLN-Zero of Peebles and Xie 2023).
    """

    def __init__(
        self,
        width: int,
        kernel: int = 7,
        expansion: int = 3,
        dropout: float = 0.0,
        dilation: int = 1,
        embedding_width: int = 0,
    ) -> None:
        super().__init__()
        reach = (kernel - 1) // 2 * dilation
        self.depthwise = nn.Conv1d(width, width, kernel, padding=reach, dilation=dilation, groups=width)
        self.norm = nn.LayerNorm(width, elementwise_affine=not embedding_width)
        self.wide = nn.Linear(width, expansion * width)
        self.narrow = nn.Linear(expansion * width, width)
        self.dropout = nn.Dropout(dropout)
        self.modulation = nn.Linear(embedding_width, 3 * width) if embedding_width else None
        self.scale = None if embedding_width else nn.Parameter(torch.full((width,), LAYER_SCALE))
        if self.modulation is not None:
            nn.init.zeros_(self.modulation.weight)
            nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, mask: Tensor, embedding: Tensor | None = None) -> Tensor:
        """[B, C, T] -> [B, C, T]; the embedding is [B, E]."""
        hidden = self.norm(self.depthwise(x).transpose(1, 2))  # [B, T, C]
        gate = self.scale
        if self.modulation is not None and embedding is not None:
            scale, shift, gate = self.modulation(embedding)[:, None].chunk(3, dim=-1)  # each [B, 1, C]
            hidden = torch.addcmul(shift, hidden, 1 + scale)
        hidden = self.narrow(self.dropout(F.gelu(self.wide(hidden))))
        assert gate is not None
        return (x + (hidden * gate).transpose(1, 2)) * mask


class Neighbours(nn.Module):
    """A convolution of width 3 as one matrix product, whose last bits do not depend on the number of threads."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, C] -> [B, T, C']."""
        padded = F.pad(x, (0, 0, 1, 1))
        return self.linear(torch.cat([padded[:, :-2], x, padded[:, 2:]], dim=-1))


class Predictor(nn.Module):
    """A few numbers for each phone from its state: two layers that see the neighbours (Ren et al. 2020, Sec. 2.3)."""

    def __init__(self, width: int, hidden: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.first, self.second = Neighbours(width, hidden), Neighbours(hidden, hidden)
        self.norms = nn.ModuleList([nn.LayerNorm(hidden), nn.LayerNorm(hidden)])
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """[B, C, L] -> [B, outputs, L], zero where masked."""
        hidden, open_ = x.transpose(1, 2), mask.transpose(1, 2)
        for layer, norm in zip((self.first, self.second), self.norms, strict=True):
            hidden = self.dropout(norm(F.relu(layer(hidden)))) * open_
        return (self.out(hidden) * open_).transpose(1, 2)


class Places(nn.Module):
    """Where in its phone a frame lies, as something to add to the frame's state: [B, T] each -> [B, C, T]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(4, width)

    def forward(self, offset: Tensor, duration: Tensor) -> Tensor:
        """`offset` counts frames from the phone's first one, `duration` is the phone's, both [B, T] float."""
        share = (offset + 0.5) / duration.clamp_min(1)
        angle = math.pi * share
        features = torch.stack([2 * share - 1, angle.sin(), angle.cos(), duration.clamp_min(1).log() / 3], dim=-1)
        return self.linear(features).transpose(1, 2)


class Expansion:
    """Which phone each frame belongs to, from durations [B, L] in frames; a plain value with tensors.

    `index` is [B, T] int64, `offset` the frame's place in its phone, `mask` [B, 1, T] float. T is filled up to a
    `multiple`, with frames that are masked.
    """

    def __init__(self, durations: Tensor, multiple: int = 1) -> None:
        ends = durations.cumsum(1)  # [B, L]
        total = -(-int(ends[:, -1].max()) // multiple) * multiple
        places = torch.arange(total, device=durations.device).expand(len(durations), -1).contiguous()
        self.index = torch.searchsorted(ends, places, right=True).clamp_max(durations.shape[1] - 1)
        starts = (ends - durations).gather(1, self.index)
        self.offset = (places - starts).float()
        self.duration = durations.gather(1, self.index).float()
        self.mask = (places < ends[:, -1:]).float()[:, None]  # [B, 1, T]

    def __call__(self, x: Tensor) -> Tensor:
        """Repeat each phone's column for its frames: [B, C, L] -> [B, C, T], zero past the end."""
        return x.gather(2, self.index[:, None].expand(-1, x.shape[1], -1)) * self.mask.to(x.dtype)


def mask_of(lengths: Tensor, longest: int) -> Tensor:
    """[B] lengths -> [B, 1, longest] float, 1 within."""
    return (torch.arange(longest, device=lengths.device) < lengths[:, None]).float()[:, None]
