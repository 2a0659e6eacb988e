"""Half a UNet with attention pooling that names what a noised picture shows (Dhariwal and Nichol 2021, Sec. 4).

Shapes: B batch, C channels, S positions, D features, K classes, G groups. t is [B] in [0, 1], 0 data, 1 noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.errors import InputError
from text2x.nn.attention import Attention
from text2x.nn.blocks import AttentionBlock, ResidualBlock, conv3, num_groups
from text2x.nn.embeddings import TimeEmbedding, in_fours


@dataclass(frozen=True)
class HalfUNetConfig:
    """Shape of the trunk. Level i works at 1 / (patch 2^i) of the size with width * multipliers[i] channels."""

    size: int = 32  # pixels a side
    in_channels: int = 4  # of x_t
    width: int = 48
    multipliers: tuple[int, ...] = (1, 2, 4)
    blocks_per_level: int = 1
    attention_levels: tuple[int, ...] = (1, 2)
    head_width: int = 48
    patch: int = 2  # pixels of patch x patch become channels first
    dropout: float = 0.0
    timestep: bool = True  # False: for clean pictures, t is not read

    @property
    def grid(self) -> int:
        """Positions along a side at the last level."""
        return self.size // (self.patch * 2 ** (len(self.multipliers) - 1))

    @property
    def features(self) -> int:
        """D, the channels of the last level."""
        return self.width * self.multipliers[-1]


@dataclass(frozen=True)
class ClassifierConfig:
    """A trunk and two heads; the numbers of classes and groups are 0 until the data are known."""

    trunk: HalfUNetConfig = HalfUNetConfig()
    num_classes: int = 0  # K
    num_groups: int = 0  # G
    dropout: float = 0.0  # before the heads
    text_width: int = 384  # of the sentence vectors of the classes' names


class HalfUNet(nn.Module):
    """A picture, and its time if it is noised, to one vector."""

    def __init__(self, config: HalfUNetConfig) -> None:
        super().__init__()
        smallest = config.patch * 2 ** (len(config.multipliers) - 1)
        if config.size % smallest:
            raise InputError(f"size {config.size} does not fit half a UNet with {smallest}; take a multiple of that")
        self.config = config
        embedding_width = 4 * config.width
        channels = [config.width * multiplier for multiplier in config.multipliers]
        self.embedding = TimeEmbedding(embedding_width)
        self.conv_in = conv3(2, config.in_channels * config.patch**2, channels[0])
        steps: list[nn.Module] = []
        current = channels[0]
        for level, width in enumerate(channels):
            for _ in range(config.blocks_per_level):
                steps.append(ResidualBlock(2, current, width, embedding_width, config.dropout))
                current = width
                if level in config.attention_levels:
                    steps.append(AttentionBlock(width, config.head_width, "none", 0, True))
            if level < len(channels) - 1:
                steps.append(ResidualBlock(2, width, width, embedding_width, config.dropout, "down"))
        self.steps = nn.ModuleList(steps)
        self.norm_out = nn.GroupNorm(num_groups(current), current)
        self.positions = nn.Parameter(torch.randn(config.grid**2, current) * current**-0.5)
        self.pool = Attention(current, max(1, current // config.head_width), "cross", current)

    def forward(self, x: Tensor, t: Tensor | None = None) -> Tensor:
        """[B, C, size, size] and, for noised pictures, [B] -> [B, D]."""
        check_input(x, t, self.config.size, self.config.timestep)
        t = x.new_zeros(len(x)) if t is None or not self.config.timestep else t
        embedding = F.silu(self.embedding(t, None))  # [B, E]
        hidden = self.conv_in(F.pixel_unshuffle(x, self.config.patch) if self.config.patch > 1 else x)
        for step in self.steps:
            hidden = step(hidden, None, None) if isinstance(step, AttentionBlock) else step(hidden, embedding)
        tokens = F.silu(self.norm_out(hidden)).flatten(2).transpose(1, 2) + self.positions.to(hidden.dtype)  # [B, S, D]
        mean = tokens.mean(1, keepdim=True)  # [B, 1, D], the query, as in the pooling of Radford et al. 2021 (CLIP)
        return (mean + self.pool(mean, self.pool.text_keys_values(tokens)))[:, 0]


class Classifier(nn.Module):
    """x_t and t to the logits of classes and of groups, two linear heads on one trunk.

    `class_vectors` [K, text_width] are sentence vectors of the classes' names, by which a text chooses its class.
    """

    class_vectors: Tensor

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = HalfUNet(config.trunk)
        self.dropout = nn.Dropout(config.dropout)
        self.class_logits = nn.Linear(config.trunk.features, config.num_classes)
        self.group_logits = nn.Linear(config.trunk.features, config.num_groups)
        self.register_buffer("class_vectors", torch.zeros(config.num_classes, config.text_width))

    def forward(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """[B, C, size, size], [B] -> logits [B, K] and [B, G]."""
        features = self.dropout(self.trunk(x, t))
        return in_fours(self.class_logits, features), in_fours(self.group_logits, features)


def check_input(x: Tensor, t: Tensor | None, size: int, timestep: bool) -> None:
    """Raise for a picture of another size, or a noised one without its time."""
    if x.shape[2:] != (size, size):
        raise InputError(f"a picture of {tuple(x.shape[2:])} does not fit this network; it takes {size} by {size}")
    if timestep and t is None:
        raise ValueError("a network of noised pictures needs their time")
