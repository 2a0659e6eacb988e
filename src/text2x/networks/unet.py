"""UNet in 1 to 3 dimensions, conditioned on time, a vector, text tokens and channels (Dhariwal and Nichol 2021; GLIDE).

Shapes: B batch, C channels, * = T, H W or T H W, L text tokens, D text width, V vector width, E embedding width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.conditioning import Conditioning, Prepared
from text2x.errors import InputError
from text2x.nn.attention import TextAttention
from text2x.nn.blocks import AttentionBlock, ResidualBlock, conv3, num_groups, zeroed
from text2x.nn.embeddings import TimeEmbedding, in_fours
from text2x.nn.pooling import AttentionPooling


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
    image_embedding: int = 0  # so many last numbers of the vector are one, and are made context tokens too (DALL-E 2)
    image_tokens: int = 4
    pooled_context: bool = False  # the tokens pooled by attention are added to the time embedding (Imagen)
    frequencies: int = 256  # of the time embedding; published networks have `width`
    num_steps: int = 0  # N of a published network, which is told its step t N - 1; 0: told 1000 t
    linear_vector: bool = False  # projected by one layer, not two (GLIDE)
    context_norm: bool = True  # False: of tokens that come normed (GLIDE)
    padding_seen: bool = False  # attention sees padded tokens too, whose states say that they are that (GLIDE)

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
        self.embedding = TimeEmbedding(
            embedding_width, config.vector_width, config.frequencies, config.num_steps, config.linear_vector
        )
        pools = config.pooled_context and config.text != "none"
        self.pooling = AttentionPooling(config.context_width, embedding_width) if pools else None
        normed = config.context_norm and config.text != "none"
        self.context_norm = nn.LayerNorm(config.context_width) if normed else None
        more_tokens = config.image_tokens * config.context_width
        self.image_tokens = nn.Linear(config.image_embedding, more_tokens) if config.image_embedding else None
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
        conditioning = self._with_image_tokens(conditioning)
        keys_values = ()
        if self.config.text != "none" and conditioning.context is not None:
            context = conditioning.context if self.context_norm is None else self.context_norm(conditioning.context)
            pairs = (block.text_keys_values(context) for block in self.attention_blocks())
            keys_values = tuple(pair for pair in pairs if pair is not None)
        vector = self.embedding.project(conditioning.vector)
        if self.pooling is not None and conditioning.context is not None:
            pooled = self.pooling(conditioning.context, conditioning.context_mask)
            vector = pooled if vector is None else vector + pooled
        mask = None if self.config.padding_seen else conditioning.context_mask
        return Prepared(vector, keys_values, mask, conditioning.channels)

    def _with_image_tokens(self, conditioning: Conditioning) -> Conditioning:
        """Tokens of the image embedding in front of those of the text (Ramesh et al. 2022, Sec. 2.1)."""
        context, vector = conditioning.context, conditioning.vector
        if self.image_tokens is None or context is None or vector is None:
            return conditioning
        made = in_fours(self.image_tokens, vector[:, -self.config.image_embedding :])
        tokens = made.unflatten(1, (self.config.image_tokens, -1)).to(context.dtype)  # [B, N, D]
        mask = conditioning.context_mask
        mask = None if mask is None else torch.cat([mask.new_ones(tokens.shape[:2]), mask], dim=1)
        return replace(conditioning, context=torch.cat([tokens, context], dim=1), context_mask=mask)

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
    if config.image_embedding and (config.text == "none" or config.image_embedding > config.vector_width):
        raise InputError(
            f"image_embedding is {config.image_embedding}: the network then needs text tokens (context_width), and a "
            f"vector_width of at least that, not {config.vector_width}"
        )
    if config.patch != 1 and config.dims != 2:
        raise InputError(f"patch is {config.patch} with dims {config.dims}; patches are for 2 dimensions only")
