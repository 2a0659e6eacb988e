"""EnCodec (Defossez et al. 2022) as it is published: SEANet with an LSTM, codebooks [V, D] of Euclidean distance.

Sound is [B, C, T], codes are [B, K, S]; every convolution is padded so that S is T / hop, rounded up. Weight norm is
folded into the weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.errors import InputError


@dataclass(frozen=True)
class EnCodecConfig:
    """Shape of the network; as it is here that of the 24 kHz model, with all its codebooks (24 kbit/s)."""

    channels: int = 1
    width: int = 32
    ratios: tuple[int, ...] = (8, 5, 4, 2)  # of the decoder, in its order
    latent: int = 128
    residual_layers: int = 1
    kernel: int = 7
    last_kernel: int = 7
    residual_kernel: int = 3
    dilation_growth: int = 2
    compress: int = 2  # how much narrower a residual block is inside
    lstm_layers: int = 2  # 0: none
    causal: bool = True
    padding: Literal["reflect", "constant", "replicate"] = "reflect"
    trim_right: float = 1.0  # share of the surplus of a causal transposed convolution that is cut off at the right
    shortcut: bool = True  # a convolution beside each residual block
    norm: Literal["weight", "group"] = "weight"  # "group": of one group over channels and time
    codebooks: int = 32
    cardinality: int = 1024

    def __post_init__(self) -> None:
        sizes = (self.channels, self.width, self.latent, self.kernel, self.codebooks, self.compress, *self.ratios)
        if min(sizes) < 1 or not self.ratios or self.cardinality < 2:
            raise InputError(
                f"a size of this EnCodec is below 1: {sizes}, {self.cardinality} codes; its settings are damaged"
            )

    @property
    def hop(self) -> int:
        """Samples a frame."""
        return math.prod(self.ratios)


class Conv(nn.Module):
    """A convolution that gives T / stride values, rounded up."""

    def __init__(
        self, config: EnCodecConfig, channels: tuple[int, int], kernel: int, stride: int = 1, dilation: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(*channels, kernel, stride, dilation=dilation)
        self.norm = nn.GroupNorm(1, channels[1]) if config.norm == "group" else None
        self.causal, self.mode, self.stride = config.causal, config.padding, stride
        self.surplus = (kernel - 1) * dilation + 1 - stride

    def forward(self, x: Tensor) -> Tensor:
        """[B, I, T] -> [B, O, T / stride]."""
        right = 0 if self.causal else self.surplus // 2
        x = self.conv(_padded(x, self.surplus - right, right + -x.shape[-1] % self.stride, self.mode))
        return x if self.norm is None else self.norm(x)


class TransposedConv(nn.Module):
    """A transposed convolution two strides wide that gives T stride values."""

    def __init__(self, config: EnCodecConfig, channels: tuple[int, int], stride: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose1d(*channels, 2 * stride, stride)
        self.norm = nn.GroupNorm(1, channels[1]) if config.norm == "group" else None
        self.right = math.ceil(stride * config.trim_right) if config.causal else stride // 2
        self.left = stride - self.right

    def forward(self, x: Tensor) -> Tensor:
        """[B, I, T] -> [B, O, T stride]."""
        x = self.conv(x)
        x = x if self.norm is None else self.norm(x)
        return x[..., self.left : x.shape[-1] - self.right]


class Recurrent(nn.Module):
    """An LSTM along time, added to what it hears."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width, layers)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T] -> [B, C, T]."""
        return x + self.lstm(x.permute(2, 0, 1))[0].permute(1, 2, 0)


class Residual(nn.Module):
    """Two convolutions, the first dilated, added to the input or to a convolution of it."""

    def __init__(self, config: EnCodecConfig, width: int, dilation: int) -> None:
        super().__init__()
        inner = width // config.compress
        self.first = Conv(config, (width, inner), config.residual_kernel, dilation=dilation)
        self.second = Conv(config, (inner, width), 1)
        self.shortcut = Conv(config, (width, width), 1) if config.shortcut else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T] -> [B, C, T]."""
        return self.shortcut(x) + self.second(F.elu(self.first(F.elu(x))))


class EnCodec(nn.Module):
    """Encoder, codebooks and decoder; for use, not for training."""

    context = None  # the LSTM hears everything before a frame
    encoder_context = None
    books: Tensor

    def __init__(self, config: EnCodecConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = nn.Sequential(*_encoder(config))
        self.decoder = nn.Sequential(*_decoder(config))
        self.register_buffer("books", torch.randn(config.codebooks, config.cardinality, config.latent))

    @property
    def hop(self) -> int:
        """Samples a frame."""
        return self.config.hop

    @property
    def codebooks(self) -> int:
        """K."""
        return self.config.codebooks

    @property
    def cardinality(self) -> int:
        """Codes of each codebook."""
        return self.config.cardinality

    @property
    def sound_channels(self) -> int:
        """C."""
        return self.config.channels

    def encode(self, x: Tensor) -> Tensor:
        """[B, C, T] -> codes [B, K, S]."""
        rest = self.encoder(x).transpose(1, 2)  # [B, S, D]
        codes = []
        for book in self.books:
            distance = rest.square().sum(-1, keepdim=True) - 2 * rest @ book.T + book.square().sum(-1)
            codes.append(distance.argmin(-1))
            rest = rest - book[codes[-1]]
        return torch.stack(codes, 1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, K, S] of the first K codebooks -> [B, C, S hop]."""
        latents = sum(book[each] for book, each in zip(self.books, codes.unbind(1), strict=False))
        assert isinstance(latents, Tensor)
        return self.decoder(latents.transpose(1, 2))


def _padded(x: Tensor, left: int, right: int, mode: str) -> Tensor:
    """Padded by `mode`; a sound too short to be mirrored gets zeros at its end first, which are cut off again."""
    more = max(0, max(left, right) + 1 - x.shape[-1]) if mode == "reflect" else 0
    padded = F.pad(F.pad(x, (0, more)), (left, right), mode)
    return padded[..., : padded.shape[-1] - more]


def _residuals(config: EnCodecConfig, width: int) -> list[nn.Module]:
    return [Residual(config, width, config.dilation_growth**place) for place in range(config.residual_layers)]


def _encoder(config: EnCodecConfig) -> list[nn.Module]:
    width = config.width
    layers: list[nn.Module] = [Conv(config, (config.channels, width), config.kernel)]
    for ratio in reversed(config.ratios):
        layers += [*_residuals(config, width), nn.ELU(), Conv(config, (width, 2 * width), 2 * ratio, ratio)]
        width *= 2
    layers += [Recurrent(width, config.lstm_layers)] if config.lstm_layers else []
    return [*layers, nn.ELU(), Conv(config, (width, config.latent), config.last_kernel)]


def _decoder(config: EnCodecConfig) -> list[nn.Module]:
    width = config.width * 2 ** len(config.ratios)
    layers: list[nn.Module] = [Conv(config, (config.latent, width), config.kernel)]
    layers += [Recurrent(width, config.lstm_layers)] if config.lstm_layers else []
    for ratio in config.ratios:
        layers += [nn.ELU(), TransposedConv(config, (width, width // 2), ratio), *_residuals(config, width // 2)]
        width //= 2
    return [*layers, nn.ELU(), Conv(config, (width, config.channels), config.last_kernel)]
