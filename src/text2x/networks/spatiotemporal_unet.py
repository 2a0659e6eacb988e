"""The UNet of Stable Video Diffusion (Blattmann et al. 2023): that of latent diffusion, a layer over time behind each.

Numerically the UNetSpatioTemporalConditionModel of diffusers. Shapes: B batch, C channels, T frames, L context tokens,
D context width, E embedding width. x is [B, C, T, H, W].
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.conditioning import Conditioning, Prepared
from text2x.diffusion.schedules import Karras
from text2x.errors import InputError
from text2x.networks.spatiotemporal_blocks import VideoResidualBlock, VideoTransformer, told_waves
from text2x.nn.blocks import zeroed
from text2x.nn.embeddings import in_fours
from text2x.nn.spatial import Doubling, Halving, from_first, group_norm

EPSILON, FINE_EPSILON = 1e-5, 1e-6  # of the norms of residual blocks; the second on the way up, and down with attention


@dataclass(frozen=True)
class SpatioTemporalUNetConfig:
    """Shape of the UNet; level i works at 1 / 2^i of the size. The defaults are Stable Video Diffusion's.

    Its vector holds the numbers that are told of a clip: frames/s less 1, motion bucket of 0 to 255, noise of the first
    frame. Its channels are the first frame's latents beside each frame's. `levels` are the smallest and the largest
    noise levels sigma / alpha, at t = 0 and t = 1 of the schedule Karras.
    """

    in_channels: int = 4  # of x_t
    extra_channels: int = 4  # of Conditioning.channels; missing ones count as zero
    out_channels: int = 4
    width: int = 320
    multipliers: tuple[int, ...] = (1, 2, 4, 4)
    blocks_per_level: int = 2  # on the way down; one more on the way up
    attention_levels: tuple[int, ...] = (0, 1, 2)
    depths: tuple[int, ...] = (1, 1, 1, 1)  # blocks of each transformer, level by level
    heads: tuple[int, ...] = (5, 10, 20, 20)  # level by level
    context_width: int = 1024  # D
    told: int = 3  # numbers of the vector
    told_frequencies: int = 256  # of each
    levels: tuple[float, float] = (0.002, 700.0)
    groups: int = 32

    @property
    def schedule(self) -> Karras:
        """The schedule whose t it is told."""
        return Karras(*self.levels)


class VideoLevel(nn.Module):
    """Residual blocks at one size, a transformer after each where the level has attention, then a resampling."""

    def __init__(
        self, blocks: list[VideoResidualBlock], transformers: list[VideoTransformer], resample: nn.Module | None
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.transformers = nn.ModuleList(transformers)
        self.resample = resample


class SpatioTemporalUNet(nn.Module):
    """Noisy clips, time and condition to the network's prediction, v, of the size of x; a fresh one returns zero."""

    def __init__(self, config: SpatioTemporalUNetConfig) -> None:
        super().__init__()
        _check(config)
        self.config = config
        channels = [config.width * multiplier for multiplier in config.multipliers]
        last = len(channels) - 1
        self.embedding = _embedding(config.width, 4 * config.width)
        self.told = _embedding(config.told * config.told_frequencies, 4 * config.width)
        conv_in = nn.Conv2d(config.in_channels + config.extra_channels, channels[0], 3, padding=1)
        self.conv_in = from_first(conv_in, config.in_channels)
        skips, current = [channels[0]], channels[0]
        down: list[VideoLevel] = []
        for index, width in enumerate(channels):
            inputs = [current] + [width] * (config.blocks_per_level - 1)
            epsilon = FINE_EPSILON if index in config.attention_levels else EPSILON
            resample = Halving(width, both_sides=True) if index < last else None
            down.append(self._level(index, inputs, epsilon, resample))
            skips += [width] * (config.blocks_per_level + (index < last))
            current = width
        self.down = nn.ModuleList(down)
        middle = [self._block(current, current, EPSILON) for _ in range(2)]
        self.middle = VideoLevel(middle, [self._transformer(last)], None)
        up: list[VideoLevel] = []
        for index, width in reversed(list(enumerate(channels))):
            befores = [current] + [width] * config.blocks_per_level
            inputs = [before + skips.pop() for before in befores]
            up.append(self._level(index, inputs, FINE_EPSILON, Doubling(width) if index > 0 else None))
            current = width
        self.up = nn.ModuleList(up)
        self.norm_out = group_norm(current, config.groups, EPSILON)
        self.conv_out = zeroed(nn.Conv2d(current, config.out_channels, 3, padding=1))

    def _level(self, index: int, inputs: list[int], epsilon: float, resample: nn.Module | None) -> VideoLevel:
        width = self.config.width * self.config.multipliers[index]
        blocks = [self._block(channels, width, epsilon) for channels in inputs]
        attends = index in self.config.attention_levels
        return VideoLevel(blocks, [self._transformer(index) for _ in blocks] if attends else [], resample)

    def _block(self, in_channels: int, out_channels: int, epsilon: float) -> VideoResidualBlock:
        return VideoResidualBlock(in_channels, out_channels, 4 * self.config.width, self.config.groups, epsilon)

    def _transformer(self, level: int) -> VideoTransformer:
        config = self.config
        channels = config.width * config.multipliers[level]
        return VideoTransformer(
            channels, config.heads[level], config.context_width, config.depths[level], config.groups
        )

    def transformers(self) -> Iterator[VideoTransformer]:
        """Every transformer in the order in which x meets them."""
        for level in (*self.down, self.middle, *self.up):
            for each in level.transformers:  # type: ignore[union-attr]
                assert isinstance(each, VideoTransformer)
                yield each

    def prepare(self, conditioning: Conditioning) -> Prepared:
        """Project the numbers and the context's keys and values once: they do not change from step to step."""
        context, vector = conditioning.context, conditioning.vector
        if vector is None or vector.shape[1] != self.config.told:
            found = "no vector" if vector is None else f"a vector of {vector.shape[1]} numbers"
            raise ValueError(f"this network is told {self.config.told} numbers, got {found}")
        keys_values = ()
        if context is not None:
            keys_values = tuple(pair for each in self.transformers() for pair in each.text_keys_values(context))
        waves = told_waves(vector, self.config.told_frequencies).to(self.conv_in.weight.dtype)
        return Prepared(in_fours(self.told, waves), keys_values, None, conditioning.channels)

    def told_time(self, t: Tensor) -> Tensor:
        """What the network is told of t [B]: log(sigma / alpha) / 4 (Karras et al. 2022, Table 1, c_noise)."""
        alpha, sigma = self.config.schedule(t.double())
        return ((sigma / alpha).log() / 4).float()

    def forward(self, x: Tensor, t: Tensor, conditioning: Conditioning | Prepared) -> Tensor:
        """[B, C, T, H, W], [B] -> [B, out_channels, T, H, W]."""
        prepared = self.prepare(conditioning) if isinstance(conditioning, Conditioning) else conditioning
        assert prepared.vector is not None
        waves = told_waves(self.told_time(t)[:, None], self.config.width).to(x.dtype)
        embedding = F.silu(in_fours(self.embedding, waves) + prepared.vector)  # [B, E]
        frames, texts = x.shape[2], iter(prepared.keys_values)

        def passed(level: nn.Module, index: int, hidden: Tensor) -> Tensor:
            """Through one residual block, and the transformer after it."""
            hidden = level.blocks[index](hidden, frames, embedding)  # type: ignore[index,operator]
            if index >= len(level.transformers):  # type: ignore[arg-type]
                return hidden
            transformer = level.transformers[index]  # type: ignore[index]
            assert isinstance(transformer, VideoTransformer)
            pairs = [next(texts, None) for _ in range(2 * len(transformer.blocks))]
            return transformer(hidden, frames, [pair for pair in pairs if pair is not None])

        hidden = self.conv_in(self._with_channels(x, prepared.channels).transpose(1, 2).flatten(0, 1))
        skips = [hidden]
        for level in self.down:
            for index in range(len(level.blocks)):  # type: ignore[arg-type]
                hidden = passed(level, index, hidden)
                skips.append(hidden)
            if level.resample is not None:
                hidden = level.resample(hidden)  # type: ignore[operator]
                skips.append(hidden)
        hidden = self.middle.blocks[1](passed(self.middle, 0, hidden), frames, embedding)
        for level in self.up:
            for index in range(len(level.blocks)):  # type: ignore[arg-type]
                hidden = passed(level, index, torch.cat([hidden, skips.pop()], dim=1))
            if level.resample is not None:
                hidden = level.resample(hidden)  # type: ignore[operator]
        made = self.conv_out(F.silu(self.norm_out(hidden)))
        return made.unflatten(0, (-1, frames)).transpose(1, 2)

    def _with_channels(self, x: Tensor, channels: Tensor | None) -> Tensor:
        """x with the condition's channels behind it, zeros where there are none: [B, C + extra, T, H, W]."""
        size = 2 ** (len(self.config.multipliers) - 1)
        if any(length % size for length in x.shape[3:]):
            raise InputError(f"size {tuple(x.shape[3:])} does not fit this UNet: take multiples of {size}")
        if not self.config.extra_channels:
            return x
        if channels is None:
            channels = x.new_zeros(x.shape[0], self.config.extra_channels, *x.shape[2:])
        return torch.cat([x, channels.to(x.dtype)], dim=1)


def _embedding(inputs: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width))


def _check(config: SpatioTemporalUNetConfig) -> None:
    levels = len(config.multipliers)
    for name in ("heads", "depths"):
        given = getattr(config, name)
        if len(given) != levels:
            raise InputError(f"{name} is {list(given)}, but the UNet has {levels} levels; give one number a level")
    if any(not 0 <= level < levels for level in config.attention_levels):
        raise InputError(
            f"attention_levels is {list(config.attention_levels)}; this UNet's levels are 0 to {levels - 1}"
        )
