"""Efficient U-Net of Imagen's upsamplers (Saharia et al. 2022, App. B.1): most of its blocks work at low resolution.

A block on the way down halves the size before its convolutions, one on the way up doubles it after them, by a
sub-pixel convolution (Shi et al. 2016); skips are scaled by 1 / sqrt(2).
Shapes: B batch, C channels, L text tokens, D text width, V vector width, E embedding width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.conditioning import Conditioning, Prepared
from text2x.errors import InputError
from text2x.nn.attention import Attention, KeysValues
from text2x.nn.blocks import AttentionBlock, conv1, num_groups, zeroed
from text2x.nn.embeddings import TimeEmbedding, in_fours
from text2x.nn.pooling import AttentionPooling

SKIP_SCALE = 0.5**0.5  # Saharia et al. 2022, App. B.1


@dataclass(frozen=True)
class EfficientUNetConfig:
    """Shape of an Efficient U-Net: level i has width * multipliers[i] channels and works at 1 / 2^(i + 1) of the size.

    Imagen's have width 128, multipliers (1, 2, 4, 8) and blocks (2, 4, 8, 8), of which the one to 256 pixels has
    self-attention at its lowest level and the one to 1024 none.
    """

    in_channels: int = 4  # of x_t
    extra_channels: int = 0  # of Conditioning.channels; missing ones count as zero
    out_channels: int = 4  # twice in_channels: a learned variance as well
    width: int = 32
    multipliers: tuple[int, ...] = (1, 2, 4)
    blocks: tuple[int, ...] = (1, 2, 4)  # residual blocks of each level, on the way down and again on the way up
    self_attention: bool = True  # at the lowest level
    context_width: int = 0  # D of the text tokens, read by cross-attention at the lowest level; 0: none
    vector_width: int = 0  # V added to the time embedding; 0: no vector
    pooled_context: bool = False  # the tokens pooled by attention are added to the time embedding
    outer_skip: bool = True  # the first convolution reaches the last: few channels cannot carry each pixel's noise
    head_width: int = 64
    dropout: float = 0.0

    @property
    def pools(self) -> bool:
        """Whether there are tokens to be pooled and they are."""
        return self.pooled_context and self.context_width > 0


class CombinedEmbedding(nn.Module):
    """The embedding of time and text, projected and added to each pixel: once a level, not in every block."""

    def __init__(self, embedding_width: int, channels: int) -> None:
        super().__init__()
        self.project = nn.Linear(embedding_width, channels)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """[B, C, H, W] and the activated embedding [B, E] -> [B, C, H, W]."""
        return x + in_fours(self.project, embedding)[:, :, None, None]


class PlainResidualBlock(nn.Module):
    """Norm, SiLU, convolution, twice, beside a map of width 1 (their Fig. A.27); a fresh one is that map alone."""

    def __init__(self, in_channels: int, out_channels: int, dropout: float) -> None:
        super().__init__()
        self.norm_in = nn.GroupNorm(num_groups(in_channels), in_channels)
        self.conv_in = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.norm_out = nn.GroupNorm(num_groups(out_channels), out_channels)
        self.dropout = nn.Dropout(dropout)
        self.conv_out = zeroed(nn.Conv2d(out_channels, out_channels, 3, padding=1))
        self.skip = nn.Identity() if in_channels == out_channels else conv1(2, in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C', H, W]."""
        hidden = F.silu(self.norm_out(self.conv_in(F.silu(self.norm_in(x)))))
        return self.skip(x) + self.conv_out(self.dropout(hidden))


class TextCrossAttention(nn.Module):
    """Pixels attend to the text tokens, and what they find is added."""

    def __init__(self, channels: int, head_width: int, context_width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(num_groups(channels), channels)
        self.attention = Attention(channels, max(1, channels // head_width), "cross", context_width)
        zeroed(self.attention.out)

    def forward(self, x: Tensor, text: KeysValues | None, mask: Tensor | None) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]; without text x comes back."""
        if text is None:
            return x
        tokens = self.norm(x).flatten(2).transpose(1, 2).contiguous()  # [B, H W, C]
        return x + self.attention(tokens, text, mask).transpose(1, 2).reshape(x.shape)


class EfficientLevel(nn.Module):
    """One size: the embedding, residual blocks, attention; `resample` halves before them or doubles after them."""

    def __init__(self, config: EfficientUNetConfig, index: int, in_channels: int, resample: nn.Module) -> None:
        super().__init__()
        channels = config.width * config.multipliers[index]
        lowest = index == len(config.multipliers) - 1
        self.combine = CombinedEmbedding(4 * config.width, in_channels)
        self.blocks = nn.ModuleList(
            PlainResidualBlock(channels if place else in_channels, channels, config.dropout)
            for place in range(config.blocks[index])
        )
        attends = lowest and config.self_attention
        self.attention = AttentionBlock(channels, config.head_width, "none", 0, True) if attends else None
        reads = lowest and config.context_width > 0
        self.cross = TextCrossAttention(channels, config.head_width, config.context_width) if reads else None
        self.resample = resample

    def forward(self, x: Tensor, embedding: Tensor, text: KeysValues | None, mask: Tensor | None) -> Tensor:
        """[B, C, H, W] at the level's size -> [B, C', H, W]."""
        x = self.combine(x, embedding)
        for block in self.blocks:
            x = block(x)
        if self.attention is not None:
            x = self.attention(x, None, None)
        return x if self.cross is None else self.cross(x, text, mask)


class EfficientUNet(nn.Module):
    """Noisy x, time and condition to the network's prediction, of the size of x; a fresh one returns zero."""

    def __init__(self, config: EfficientUNetConfig) -> None:
        super().__init__()
        _check(config)
        self.config = config
        channels = [config.width * multiplier for multiplier in config.multipliers]
        self.embedding = TimeEmbedding(4 * config.width, config.vector_width)
        self.pooling = AttentionPooling(config.context_width, 4 * config.width) if config.pools else None
        self.context_norm = nn.LayerNorm(config.context_width) if config.context_width else None
        self.conv_in = nn.Conv2d(config.in_channels + config.extra_channels, channels[0], 3, padding=1)
        self.down = nn.ModuleList(
            EfficientLevel(config, index, width, nn.Conv2d(before, width, 3, stride=2, padding=1))
            for index, (before, width) in enumerate(zip([channels[0], *channels], channels, strict=False))
        )
        after = [channels[0], *channels]  # channels of the next larger level
        self.up = nn.ModuleList(
            EfficientLevel(config, index, 2 * width, nn.Conv2d(width, 4 * after[index], 3, padding=1))
            for index, width in reversed(list(enumerate(channels)))
        )
        last = 2 * channels[0] if config.outer_skip else channels[0]
        self.norm_out = nn.GroupNorm(num_groups(last), last)
        self.conv_out = zeroed(nn.Conv2d(last, config.out_channels, 3, padding=1))

    def levels(self) -> Iterator[EfficientLevel]:
        """Every level in the order in which x meets them."""
        for level in (*self.down, *self.up):
            assert isinstance(level, EfficientLevel)
            yield level

    def prepare(self, conditioning: Conditioning) -> Prepared:
        """Project vector, pooled tokens and the text's keys and values once: they do not change from step to step."""
        context, mask = conditioning.context, conditioning.context_mask
        keys_values = ()
        if self.context_norm is not None and context is not None:
            normed = self.context_norm(context)
            crosses = (level.cross for level in self.levels() if level.cross is not None)
            keys_values = tuple(cross.attention.text_keys_values(normed) for cross in crosses)
        vector = self.embedding.project(conditioning.vector)
        if self.pooling is not None and context is not None:
            pooled = self.pooling(context, mask)
            vector = pooled if vector is None else vector + pooled
        return Prepared(vector, keys_values, mask, conditioning.channels)

    def forward(self, x: Tensor, t: Tensor, conditioning: Conditioning | Prepared) -> Tensor:
        """[B, C, H, W], [B] -> [B, out_channels, H, W]."""
        prepared = self.prepare(conditioning) if isinstance(conditioning, Conditioning) else conditioning
        embedding = F.silu(self.embedding(t, prepared.vector))  # [B, E]
        texts = iter(prepared.keys_values)
        hidden = outer = self.conv_in(self._with_channels(x, prepared.channels))
        skips = []
        for level in self.down:
            text = next(texts, None) if level.cross is not None else None
            hidden = level(level.resample(hidden), embedding, text, prepared.mask)  # type: ignore[operator]
            skips.append(hidden)
        for level in self.up:
            text = next(texts, None) if level.cross is not None else None
            joined = torch.cat([hidden, skips.pop() * SKIP_SCALE], dim=1)
            hidden = level.resample(level(joined, embedding, text, prepared.mask))  # type: ignore[operator]
            hidden = F.pixel_shuffle(hidden, 2)
        if self.config.outer_skip:
            hidden = torch.cat([hidden, outer * SKIP_SCALE], dim=1)
        return self.conv_out(F.silu(self.norm_out(hidden)))

    def _with_channels(self, x: Tensor, channels: Tensor | None) -> Tensor:
        """x with the condition's channels behind it, zeros where there are none: [B, C + extra, H, W]."""
        size = 2 ** len(self.config.multipliers)
        if any(length % size for length in x.shape[2:]):
            raise InputError(f"size {tuple(x.shape[2:])} does not fit this Efficient U-Net: take multiples of {size}")
        if not self.config.extra_channels:
            return x
        if channels is None:
            channels = x.new_zeros(x.shape[0], self.config.extra_channels, *x.shape[2:])
        return torch.cat([x, channels.to(x.dtype)], dim=1)


def _check(config: EfficientUNetConfig) -> None:
    if len(config.blocks) != len(config.multipliers) or not config.blocks:
        raise InputError(
            f"blocks is {config.blocks} for the multipliers {config.multipliers}; give a number of blocks a level"
        )
    if min(config.blocks) < 1:
        raise InputError(f"blocks is {config.blocks}; a level has at least 1")
