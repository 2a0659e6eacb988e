"""The Descript audio codec's network (Kumar et al. 2023) as it is published: Snake, residual units of dilation 1, 3, 9.

Sound is [B, 1, T], codes are [B, K, S] with S = T / hop. Weight norm is folded into the weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.errors import InputError
from text2x.networks.residual_quantizer import ResidualQuantizer, ResidualQuantizerConfig

DILATIONS = (1, 3, 9)
KERNEL = 7


@dataclass(frozen=True)
class DACConfig:
    """Shape of the network; as it is here that of the 44.1 kHz model."""

    width: int = 64  # of the encoder at the rate of samples
    decoder_width: int = 1536  # of the decoder at the rate of frames
    ratios: tuple[int, ...] = (2, 4, 8, 8)  # of the encoder, in its order
    quantizer: ResidualQuantizerConfig = ResidualQuantizerConfig(9, 1024, 8, 0.5)

    def __post_init__(self) -> None:
        least = 2 ** len(self.ratios)
        if not self.ratios or min(self.width, *self.ratios) < 1 or self.decoder_width % least:
            raise InputError(
                f"this DAC has width {self.width}, decoder_width {self.decoder_width} and ratios {self.ratios};"
                f" at least 1, and decoder_width a multiple of {least}"
            )

    @property
    def hop(self) -> int:
        """Samples a frame."""
        return math.prod(self.ratios)

    @property
    def latent(self) -> int:
        """D."""
        return self.width * 2 ** len(self.ratios)


class Snake(nn.Module):
    """x + sin^2(alpha x) / alpha, an alpha a channel (Liu et al. 2020)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(1, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T] -> [B, C, T]."""
        return x + (self.alpha * x).sin().square() / (self.alpha + 1e-9)


class Unit(nn.Module):
    """A dilated convolution and one of width 1, added to the input."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        dilated = nn.Conv1d(width, width, KERNEL, dilation=dilation, padding=KERNEL // 2 * dilation)
        self.layers = nn.Sequential(Snake(width), dilated, Snake(width), nn.Conv1d(width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T] -> [B, C, T]."""
        return x + self.layers(x)


def _encoder(config: DACConfig) -> list[nn.Module]:
    width = config.width
    layers: list[nn.Module] = [nn.Conv1d(1, width, KERNEL, padding=KERNEL // 2)]
    for ratio in config.ratios:
        down = nn.Conv1d(width, 2 * width, 2 * ratio, ratio, math.ceil(ratio / 2))
        layers += [*(Unit(width, dilation) for dilation in DILATIONS), Snake(width), down]
        width *= 2
    return [*layers, Snake(width), nn.Conv1d(width, config.latent, 3, padding=1)]


def _decoder(config: DACConfig) -> list[nn.Module]:
    width = config.decoder_width
    layers: list[nn.Module] = [nn.Conv1d(config.latent, width, KERNEL, padding=KERNEL // 2)]
    for ratio in reversed(config.ratios):
        up = nn.ConvTranspose1d(width, width // 2, 2 * ratio, ratio, math.ceil(ratio / 2))
        width //= 2
        layers += [Snake(2 * width), up, *(Unit(width, dilation) for dilation in DILATIONS)]
    return [*layers, Snake(width), nn.Conv1d(width, 1, KERNEL, padding=KERNEL // 2), nn.Tanh()]


class DAC(nn.Module):
    """Encoder, residual quantiser and decoder; for use, not for training."""

    sound_channels = 1

    def __init__(self, config: DACConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = nn.Sequential(*_encoder(config))
        self.quantizer = ResidualQuantizer(config.latent, config.quantizer)
        self.decoder = nn.Sequential(*_decoder(config))

    @property
    def hop(self) -> int:
        """Samples a frame."""
        return self.config.hop

    @property
    def codebooks(self) -> int:
        """K."""
        return self.config.quantizer.codebooks

    @property
    def cardinality(self) -> int:
        """Codes of each codebook."""
        return self.config.quantizer.cardinality

    @property
    def context(self) -> int:
        """Frames on each side of its own that a sample depends on."""
        reach = KERNEL // 2
        for ratio in self.config.ratios:
            reach = -(-(reach + KERNEL // 2 * sum(DILATIONS)) // ratio) + 1
        return reach + KERNEL // 2

    @property
    def encoder_context(self) -> int:
        """Frames on each side of its own that a code depends on."""
        reach = 1
        for ratio in reversed(self.config.ratios):
            reach = reach * ratio + math.ceil(ratio / 2) + KERNEL // 2 * sum(DILATIONS)
        return -(-(reach + KERNEL // 2) // self.hop)

    def encode(self, x: Tensor) -> Tensor:
        """[B, 1, T] -> codes [B, K, S]; T is filled up with zeros to whole frames."""
        return self.quantizer.encode(self.encoder(F.pad(x, (0, -x.shape[-1] % self.hop))))

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, K, S] of the first K codebooks -> [B, 1, S hop].

        With odd ratios the published network leaves out the last few samples; they are silence here.
        """
        made = self.decoder(self.quantizer.decode(codes))
        return F.pad(made, (0, codes.shape[-1] * self.hop - made.shape[-1]))
