"""CLIP for small pictures: an image network and a head on a frozen sentence vector meet in one embedding.

With `timestep` the image network reads noised pictures (Nichol et al. 2021, GLIDE: noised CLIP): the transformer has
the time embedding where the class token was. Without it pictures are clean.
Shapes: B batch, C channels, S patches, W width, V width of the text vector, D joint embedding. t is [B], 0 data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.errors import InputError
from text2x.networks.classifier import HalfUNet, HalfUNetConfig, check_input
from text2x.nn.attention import Attention
from text2x.nn.blocks import conv3
from text2x.nn.embeddings import TimeEmbedding, in_fours
from text2x.nn.transformer import EPSILON, FeedForward, TransformerBlock

FIRST_SCALE = 1 / 0.07  # of the cosine (Radford et al. 2021, Sec. 2.5), and the most that it may become
LARGEST_SCALE = 100.0


@dataclass(frozen=True)
class ImageTransformerConfig:
    """Shape of a transformer over patches."""

    size: int = 32  # pixels a side
    in_channels: int = 4
    patch: int = 4
    stem: Literal["patches", "convolutions"] = "convolutions"  # a linear map, or two convolutions (Xiao et al. 2021)
    width: int = 160
    depth: int = 5
    num_heads: int = 4
    dropout: float = 0.0
    timestep: bool = True

    @property
    def grid(self) -> int:
        """Patches along a side."""
        return self.size // self.patch

    @property
    def features(self) -> int:
        """The width of what comes out."""
        return self.width


@dataclass(frozen=True)
class CLIPConfig:
    """Both sides: the image network, and the head that reads a text's vector."""

    image: ImageTransformerConfig | HalfUNetConfig = ImageTransformerConfig()
    vector_width: int = 384  # V: sentence vector and style one-hot
    text_hidden: int = 512
    text_dropout: float = 0.0
    embedding: int = 256  # D


class ImageTransformer(nn.Module):
    """A picture, and its time if it is noised, to one vector."""

    def __init__(self, config: ImageTransformerConfig) -> None:
        super().__init__()
        if config.size % config.patch or (config.stem == "convolutions" and config.patch % 2):
            raise InputError(f"patch {config.patch} does not fit size {config.size}; take an even divisor of it")
        self.config = config
        self.stem = _stem(config)
        self.time = TimeEmbedding(config.width) if config.timestep else None
        self.token = None if config.timestep else nn.Parameter(torch.randn(config.width) * config.width**-0.5)
        self.positions = nn.Parameter(torch.randn(config.grid**2, config.width) * config.width**-0.5)
        self.blocks = nn.ModuleList(
            TransformerBlock(
                config.width,
                Attention(config.width, config.num_heads),
                FeedForward(config.width, dropout=config.dropout),
                modulated=False,
            )
            for _ in range(config.depth)
        )
        self.norm_out = nn.LayerNorm(config.width, EPSILON)

    def forward(self, x: Tensor, t: Tensor | None = None) -> Tensor:
        """[B, C, size, size] and, for noised pictures, [B] -> [B, W]."""
        check_input(x, t, self.config.size, self.config.timestep)
        hidden = self.stem(x).flatten(2).transpose(1, 2)  # [B, S, W]
        hidden = hidden + self.positions.to(hidden.dtype)
        hidden = torch.cat([self._token(len(x), t).to(hidden.dtype), hidden], dim=1)  # [B, 1 + S, W]
        for block in self.blocks:
            hidden = block(hidden)
        return self.norm_out(hidden[:, 0])

    def _token(self, count: int, t: Tensor | None) -> Tensor:
        """What stands in front of the patches, [B, 1, W]."""
        if self.time is None or t is None:
            assert self.token is not None
            return self.token.expand(count, 1, -1)
        return self.time(t, None)[:, None]


class CLIP(nn.Module):
    """Both sides and the scale of their cosine; embeddings are float32 of unit length."""

    def __init__(self, config: CLIPConfig) -> None:
        super().__init__()
        self.config = config
        self.image = _image_network(config.image)
        self.image_out = nn.Linear(config.image.features, config.embedding, bias=False)
        self.text_in = nn.Linear(config.vector_width, config.text_hidden)
        self.text_dropout = nn.Dropout(config.text_dropout)
        self.text_out = nn.Linear(config.text_hidden, config.embedding, bias=False)
        self.text_straight = nn.Linear(config.vector_width, config.embedding, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))

    def image_embedding(self, x: Tensor, t: Tensor | None = None) -> Tensor:
        """[B, C, size, size] in [-1, 1] (noised: x_t and [B]) -> [B, D]."""
        return F.normalize(in_fours(self.image_out, self.image(x, t)).float(), dim=-1)

    def text_embedding(self, vector: Tensor) -> Tensor:
        """Sentence vectors with their style [B, V] -> [B, D]: a linear map plus one with a hidden layer."""

        def both(rows: Tensor) -> Tensor:
            return self.text_straight(rows) + self.text_out(self.text_dropout(F.gelu(self.text_in(rows))))

        return F.normalize(in_fours(both, vector).float(), dim=-1)

    def scale(self) -> Tensor:
        """What the cosine is multiplied by, at most 100."""
        return self.log_scale.exp().clamp_max(LARGEST_SCALE)


def _image_network(config: ImageTransformerConfig | HalfUNetConfig) -> HalfUNet | ImageTransformer:
    return HalfUNet(config) if isinstance(config, HalfUNetConfig) else ImageTransformer(config)


def _stem(config: ImageTransformerConfig) -> nn.Module:
    """[B, C, size, size] -> [B, W, grid, grid]."""
    if config.stem == "patches":
        return nn.Conv2d(config.in_channels, config.width, config.patch, stride=config.patch)
    middle, rest = config.width // 2, config.patch // 2
    return nn.Sequential(
        nn.PixelUnshuffle(2),
        conv3(2, 4 * config.in_channels, middle),
        nn.GELU(approximate="tanh"),
        nn.PixelUnshuffle(rest) if rest > 1 else nn.Identity(),
        conv3(2, middle * rest**2, config.width),
    )
