"""UNet of latent diffusion: time added in residual blocks, text read by cross-attention (Rombach et al. 2022).

Shapes: B batch, C channels, L text tokens, D text width, V vector width, E embedding width. x is [B, C, H, W].
Numerically the UNet2DConditionModel of Stable Diffusion 1.x, 2.x and their inpainting forms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.conditioning import Conditioning, Prepared
from text2x.errors import InputError
from text2x.nn.blocks import zeroed
from text2x.nn.embeddings import TimeEmbedding
from text2x.nn.spatial import AddedResidualBlock, Doubling, Halving, SpatialTransformer, from_first, group_norm

NORM_EPSILON = 1e-5  # of the residual blocks' norms (Rombach et al. 2022, their code)


@dataclass(frozen=True)
class CrossUNetConfig:
    """Shape of the UNet. Level i works at 1 / 2^i of the size with width * multipliers[i] channels.

    Stable Diffusion 1.x is width 320, (1, 2, 4, 4), 2 blocks, heads (8, 8, 8, 8), context 768; 2.x heads
    (5, 10, 20, 20), context 1024; both of 1000 steps.
    """

    in_channels: int = 4  # of x_t
    extra_channels: int = (
        0  # of Conditioning.channels, behind x; missing ones count as zero, as their first weights are
    )
    out_channels: int = 4  # twice in_channels: a learned variance as well
    width: int = 64
    multipliers: tuple[int, ...] = (1, 2, 4)
    blocks_per_level: int = 1  # on the way down; one more on the way up
    attention_levels: tuple[int, ...] = (0, 1, 2)
    depth: int = 1  # blocks of each transformer
    depths: tuple[int, ...] = ()  # the same level by level; empty: `depth` everywhere
    head_width: int = 64
    heads: tuple[int, ...] = ()  # number of heads level by level; empty: channels / head_width
    middle_attention: bool = True
    context_width: int = 0  # D of the text tokens; 0: no token context
    vector_width: int = 0  # V added to the time embedding; 0: no vector
    num_steps: int = 0  # N of a published network, which is told its step t N - 1; 0: told 1000 t
    groups: int = 0  # of the group norms; 0: 32, or fewer where channels are few
    dropout: float = 0.0


class CrossLevel(nn.Module):
    """Residual blocks at one size, a transformer after each where the level has attention, then a resampling."""

    def __init__(
        self, blocks: list[AddedResidualBlock], transformers: list[SpatialTransformer], resample: nn.Module | None
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.transformers = nn.ModuleList(transformers)
        self.resample = resample


class CrossUNet(nn.Module):
    """Noisy x, time and condition to the network's prediction, of the size of x; a fresh one returns zero."""

    def __init__(self, config: CrossUNetConfig) -> None:
        super().__init__()
        _check(config)
        self.config = config
        channels = [config.width * multiplier for multiplier in config.multipliers]
        last = len(channels) - 1
        self.embedding = TimeEmbedding(4 * config.width, config.vector_width, config.width, config.num_steps)
        conv_in = nn.Conv2d(config.in_channels + config.extra_channels, channels[0], 3, padding=1)
        self.conv_in = from_first(conv_in, config.in_channels)

        skips, current = [channels[0]], channels[0]
        down: list[CrossLevel] = []
        for index, width in enumerate(channels):
            inputs = [current] + [width] * (config.blocks_per_level - 1)
            resample = Halving(width, both_sides=True) if index < last else None
            down.append(self._level(index, inputs, width, resample))
            skips += [width] * (config.blocks_per_level + (index < last))
            current = width
        self.down = nn.ModuleList(down)

        middle = [self._block(current, current), self._block(current, current)]
        self.middle = CrossLevel(middle, [self._transformer(last, current)] if config.middle_attention else [], None)

        up: list[CrossLevel] = []
        for index, width in reversed(list(enumerate(channels))):
            befores = [current] + [width] * config.blocks_per_level
            inputs = [before + skips.pop() for before in befores]
            up.append(self._level(index, inputs, width, Doubling(width) if index > 0 else None))
            current = width
        self.up = nn.ModuleList(up)

        self.norm_out = group_norm(current, config.groups, NORM_EPSILON)
        self.conv_out = zeroed(nn.Conv2d(current, config.out_channels, 3, padding=1))

    def _level(self, index: int, inputs: list[int], width: int, resample: nn.Module | None) -> CrossLevel:
        blocks = [self._block(channels, width) for channels in inputs]
        attends = index in self.config.attention_levels
        return CrossLevel(blocks, [self._transformer(index, width) for _ in blocks] if attends else [], resample)

    def _block(self, in_channels: int, out_channels: int) -> AddedResidualBlock:
        config = self.config
        block = AddedResidualBlock(
            in_channels, out_channels, 4 * config.width, config.groups, NORM_EPSILON, config.dropout
        )
        zeroed(block.conv_out)
        return block

    def _transformer(self, level: int, channels: int) -> SpatialTransformer:
        config = self.config
        heads = config.heads[level] if config.heads else max(1, channels // config.head_width)
        depth = config.depths[level] if config.depths else config.depth
        return SpatialTransformer(channels, heads, config.context_width, depth, config.groups, config.dropout)

    def transformers(self) -> Iterator[SpatialTransformer]:
        """Every transformer in the order in which x meets them."""
        for level in (*self.down, self.middle, *self.up):
            for each in level.transformers:  # type: ignore[union-attr]
                assert isinstance(each, SpatialTransformer)
                yield each

    def prepare(self, conditioning: Conditioning) -> Prepared:
        """Project the vector and the text keys and values once: they do not change from step to step."""
        context, keys_values = conditioning.context, ()
        if context is not None:
            keys_values = tuple(pair for each in self.transformers() for pair in each.text_keys_values(context))
        vector = self.embedding.project(conditioning.vector)
        return Prepared(vector, keys_values, conditioning.context_mask, conditioning.channels)

    def forward(self, x: Tensor, t: Tensor, conditioning: Conditioning | Prepared) -> Tensor:
        """[B, C, H, W], [B] -> [B, out_channels, H, W]."""
        prepared = self.prepare(conditioning) if isinstance(conditioning, Conditioning) else conditioning
        embedding = F.silu(self.embedding(t, prepared.vector))  # [B, E]
        texts = iter(prepared.keys_values)

        def passed(level: nn.Module, index: int, hidden: Tensor) -> Tensor:
            """Through one residual block, and the transformer after it."""
            hidden = level.blocks[index](hidden, embedding)  # type: ignore[index,operator]
            if index >= len(level.transformers):  # type: ignore[arg-type]
                return hidden
            transformer = level.transformers[index]  # type: ignore[index]
            assert isinstance(transformer, SpatialTransformer)
            pairs = [pair for pair in (next(texts, None) for _ in transformer.blocks) if pair is not None]
            return transformer(hidden, pairs, prepared.mask)

        hidden = self.conv_in(self._with_channels(x, prepared.channels))
        skips = [hidden]
        for level in self.down:
            for index in range(len(level.blocks)):  # type: ignore[arg-type]
                hidden = passed(level, index, hidden)
                skips.append(hidden)
            if level.resample is not None:
                hidden = level.resample(hidden)  # type: ignore[operator]
                skips.append(hidden)

        for index in range(2):
            hidden = passed(self.middle, index, hidden)

        for level in self.up:
            for index in range(len(level.blocks)):  # type: ignore[arg-type]
                hidden = passed(level, index, torch.cat([hidden, skips.pop()], dim=1))
            if level.resample is not None:
                hidden = level.resample(hidden)  # type: ignore[operator]
        return self.conv_out(F.silu(self.norm_out(hidden)))

    def _with_channels(self, x: Tensor, channels: Tensor | None) -> Tensor:
        """x with the condition's channels behind it, zeros where there are none: [B, C + extra, H, W]."""
        size = 2 ** (len(self.config.multipliers) - 1)
        if any(length % size for length in x.shape[2:]):
            raise InputError(f"size {tuple(x.shape[2:])} does not fit this UNet: take multiples of {size}")
        if not self.config.extra_channels:
            return x
        if channels is None:
            channels = x.new_zeros(x.shape[0], self.config.extra_channels, *x.shape[2:])
        return torch.cat([x, channels.to(x.dtype)], dim=1)


def _check(config: CrossUNetConfig) -> None:
    levels = len(config.multipliers)
    for name in ("heads", "depths"):
        given = getattr(config, name)
        if given and len(given) != levels:
            raise InputError(f"{name} is {list(given)}, but the UNet has {levels} levels; give one number a level")
    if any(not 0 <= level < levels for level in config.attention_levels):
        raise InputError(
            f"attention_levels is {list(config.attention_levels)}; this UNet's levels are 0 to {levels - 1}"
        )
