"""UNet in 1 to 3 dimensions, conditioned on time, a vector, text tokens and channels (Dhariwal and Nichol 2021; GLIDE).

Shapes: B batch, C channels, * = T, H W or T H W, L text tokens, D text width, V vector width, E embedding width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.conditioning import Conditioning, Prepared
from text2x.errors import InputError
from text2x.nn.attention import TextAttention
from text2x.nn.blocks import AttentionBlock, ResidualBlock, conv3, num_groups, zeroed
from text2x.nn.embeddings import TimeEmbedding


@dataclass(frozen=True)
class UNetConfig:
    """Shape of a UNet. Level i works at 1 / (patch 2^i) of the size with width * multipliers[i] channels."""

    dims: int = 2
    in_channels: int = 4  # of x_t
    extra_channels: int = 0  # of Conditioning.channels; missing ones count as zero
    out_channels: int = 4  # twice in_channels: a learned variance as well
    width: int = 64
    multipliers: tuple[int, ...] = (1, 2, 3, 4)
    blocks_per_level: int = 1
    attention_levels: tuple[int, ...] = (2, 3)
    text_attention: TextAttention = "joint"
    context_width: int = 0  # D of the text tokens; 0: no token context
    vector_width: int = 0  # V added to the time embedding; 0: no vector
    head_width: int = 64
    qk_norm: bool = True
    patch: int = 1  # pixels of patch x patch become channels first (dims 2 only)
    dropout: float = 0.0

    @property
    def text(self) -> TextAttention:
        """How text tokens enter attention; without a context width they do not."""
        return self.text_attention if self.context_width else "none"


class Level(nn.Module):
    """Residual blocks at one size, an attention block after each where the level has attention, then a resampling."""

    def __init__(self, blocks: list[ResidualBlock], attentions: list[AttentionBlock], resample: ResidualBlock | None):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.attentions = nn.ModuleList(attentions)
        self.resample = resample


class UNet(nn.Module):
    """Noisy x, time and condition to the network's prediction, of the size of x."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        _check(config)
        self.config = config
        embedding_width = 4 * config.width
        channels = [config.width * multiplier for multiplier in config.multipliers]
        patched = config.patch**config.dims
        self.embedding = TimeEmbedding(embedding_width, config.vector_width)
        self.context_norm = nn.LayerNorm(config.context_width) if config.text != "none" else None
        self.conv_in = conv3(config.dims, (config.in_channels + config.extra_channels) * patched, channels[0])

        skips = [channels[0]]
        current = channels[0]
        down: list[Level] = []
        for index, width in enumerate(channels):
            blocks = []
            for _ in range(config.blocks_per_level):
                blocks.append(self._block(current, width))
                current = width
                skips.append(width)
            last = index == len(channels) - 1
            down.append(
                Level(
                    blocks,
                    self._attentions(index, width, len(blocks)),
                    None if last else self._block(width, width, "down"),
                )
            )
            if not last:
                skips.append(width)
        self.down = nn.ModuleList(down)

        attention = [self._attention(current)] if config.attention_levels else []
        self.middle = Level([self._block(current, current), self._block(current, current)], attention, None)

        up: list[Level] = []
        for index, width in reversed(list(enumerate(channels))):
            blocks = []
            for _ in range(config.blocks_per_level + 1):
                blocks.append(self._block(current + skips.pop(), width))
                current = width
            up.append(
                Level(
                    blocks,
                    self._attentions(index, width, len(blocks)),
                    None if index == 0 else self._block(width, width, "up"),
                )
            )
        self.up = nn.ModuleList(up)

        self.norm_out = nn.GroupNorm(num_groups(current), current)
        self.conv_out = zeroed(conv3(config.dims, current, config.out_channels * patched))

    def _block(self, in_channels: int, out_channels: int, resample: str = "none") -> ResidualBlock:
        config = self.config
        return ResidualBlock(config.dims, in_channels, out_channels, 4 * config.width, config.dropout, resample)

    def _attention(self, channels: int) -> AttentionBlock:
        config = self.config
        return AttentionBlock(channels, config.head_width, config.text, config.context_width, config.qk_norm)

    def _attentions(self, level: int, channels: int, count: int) -> list[AttentionBlock]:
        return [self._attention(channels) for _ in range(count)] if level in self.config.attention_levels else []

    def attention_blocks(self) -> Iterator[AttentionBlock]:
        """Every attention block in the order in which x meets them."""
        for level in (*self.down, self.middle, *self.up):
            for block in level.attentions:  # type: ignore[union-attr]
                assert isinstance(block, AttentionBlock)
                yield block

    def prepare(self, conditioning: Conditioning) -> Prepared:
        """Project the vector and the text keys and values once: they do not change from step to step."""
        keys_values = ()
        if self.context_norm is not None and conditioning.context is not None:
            context = self.context_norm(conditioning.context)
            pairs = (block.text_keys_values(context) for block in self.attention_blocks())
            keys_values = tuple(pair for pair in pairs if pair is not None)
        vector = self.embedding.project(conditioning.vector)
        return Prepared(vector, keys_values, conditioning.context_mask, conditioning.channels)

    def forward(self, x: Tensor, t: Tensor, conditioning: Conditioning | Prepared) -> Tensor:
        """[B, C, *], [B] -> [B, out_channels, *]."""
        prepared = self.prepare(conditioning) if isinstance(conditioning, Conditioning) else conditioning
        embedding = F.silu(self.embedding(t, prepared.vector))  # [B, E]
        texts = iter(prepared.keys_values)

        def attend(level: nn.Module, index: int, hidden: Tensor) -> Tensor:
            if index >= len(level.attentions):  # type: ignore[arg-type]
                return hidden
            return level.attentions[index](hidden, next(texts, None), prepared.mask)  # type: ignore[index,operator]

        hidden = self.conv_in(self._patched(self._with_channels(x, prepared.channels)))
        skips = [hidden]
        for level in self.down:
            for index, block in enumerate(level.blocks):  # type: ignore[arg-type]
                hidden = attend(level, index, block(hidden, embedding))
                skips.append(hidden)
            if level.resample is not None:
                hidden = level.resample(hidden, embedding)  # type: ignore[operator]
                skips.append(hidden)

        hidden = attend(self.middle, 0, self.middle.blocks[0](hidden, embedding))
        hidden = self.middle.blocks[1](hidden, embedding)

        for level in self.up:
            for index, block in enumerate(level.blocks):  # type: ignore[arg-type]
                hidden = attend(level, index, block(torch.cat([hidden, skips.pop()], dim=1), embedding))
            if level.resample is not None:
                hidden = level.resample(hidden, embedding)  # type: ignore[operator]
        return self._unpatched(self.conv_out(F.silu(self.norm_out(hidden))))

    def _with_channels(self, x: Tensor, channels: Tensor | None) -> Tensor:
        """x with the condition's channels behind it, zeros where there are none: [B, C + extra, *]."""
        size = self.config.patch * 2 ** (len(self.config.multipliers) - 1)
        sizes = x.shape[2:] if self.config.dims < 3 else x.shape[3:]
        if any(length % size for length in sizes):
            raise InputError(f"size {tuple(x.shape[2:])} does not fit this UNet: take multiples of {size}")
        if not self.config.extra_channels:
            return x
        if channels is None:
            channels = x.new_zeros(x.shape[0], self.config.extra_channels, *x.shape[2:])
        return torch.cat([x, channels.to(x.dtype)], dim=1)

    def _patched(self, x: Tensor) -> Tensor:
        return x if self.config.patch == 1 else F.pixel_unshuffle(x, self.config.patch)

    def _unpatched(self, x: Tensor) -> Tensor:
        return x if self.config.patch == 1 else F.pixel_shuffle(x, self.config.patch)


def _check(config: UNetConfig) -> None:
    if config.dims not in (1, 2, 3):
        raise InputError(f"dims is {config.dims}; a UNet has 1, 2 or 3")
    if config.patch != 1 and config.dims != 2:
        raise InputError(f"patch is {config.patch} with dims {config.dims}; patches are for 2 dimensions only")
