"""An autoencoder of sound of the SEANet kind: samples [B, 1, T] to latents [B, D, S], S = T / hop, and back.

Convolutions alone, as in EnCodec (Defossez et al. 2022, Sec. 3.1) but without its LSTM, so that a sample depends on
a few frames around it. Between encoder and decoder: residual quantisation, or a Gaussian for diffusion on latents.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.errors import InputError
from text2x.networks.residual_quantizer import Quantized, ResidualQuantizer, ResidualQuantizerConfig

LOG_VARIANCE = (-20.0, 10.0)  # limits, so that no exponential overflows


@dataclass(frozen=True)
class GaussianConfig:
    """A bottleneck of `channels` means and variances (Kingma and Welling 2014)."""

    channels: int = 32

    def __post_init__(self) -> None:
        if self.channels < 1:
            raise InputError(f"the bottleneck has {self.channels} channels; it needs at least 1")


@dataclass(frozen=True)
class AudioCodecConfig:
    """Shape of the network: `width` channels at the rate of samples, doubled each time that the rate falls by a ratio.

    EnCodec has width 32, one residual block (dilation 1) and latents of 128.
    """

    width: int = 12
    ratios: tuple[int, ...] = (2, 4, 5, 8)
    dilations: tuple[int, ...] = (1, 3)  # of the residual blocks of each level
    kernel: int = 7  # of the first and the last convolutions
    residual_kernel: int = 3
    latent: int = 128  # D, before the quantiser
    bottleneck: ResidualQuantizerConfig | GaussianConfig = ResidualQuantizerConfig()

    def __post_init__(self) -> None:
        sizes = (self.width, self.latent, *self.dilations, *self.ratios)
        if min(sizes) < 1 or self.width % 2 or not self.ratios or min(self.ratios) < 2:
            raise InputError(
                f"network has width {self.width}, latent {self.latent}, ratios {self.ratios}, dilations"
                f" {self.dilations}; each must be at least 1, width even, ratios one or more of at least 2"
            )
        if min(self.kernel, self.residual_kernel) < 1 or not self.kernel % 2 or not self.residual_kernel % 2:
            raise InputError(f"network's kernels {self.kernel} and {self.residual_kernel} must be odd and at least 1")

    @property
    def hop(self) -> int:
        """Samples a frame."""
        return math.prod(self.ratios)

    @property
    def channels(self) -> int:
        """Of what the decoder reads."""
        return self.bottleneck.channels if isinstance(self.bottleneck, GaussianConfig) else self.latent

    @property
    def context(self) -> int:
        """Frames on each side of its own that a sample of the decoder depends on."""
        reach = self.kernel // 2  # samples at the level's rate
        for ratio in self.ratios:
            reach = -(-(reach + self._inner) // ratio) + 1
        return reach + self.kernel // 2

    @property
    def encoder_context(self) -> int:
        """Frames of sound on each side of its own that a latent depends on."""
        reach = self.kernel // 2  # frames
        for ratio in reversed(self.ratios):
            reach = reach * ratio + max(ratio // 2, ratio - ratio // 2) + self._inner
        return -(-(reach + self.kernel // 2) // self.hop)

    @property
    def _inner(self) -> int:
        """What the residual blocks of a level add, in its samples."""
        return self.residual_kernel // 2 * sum(self.dilations)


class AudioCodec(nn.Module):
    """Encoder, bottleneck and decoder of one channel."""

    sound_channels = 1

    def __init__(self, config: AudioCodecConfig) -> None:
        super().__init__()
        self.config = config
        quantized = isinstance(config.bottleneck, ResidualQuantizerConfig)
        self.encoder = nn.Sequential(*_encoder_layers(config, config.latent if quantized else 2 * config.channels))
        self.decoder = nn.Sequential(*_decoder_layers(config))
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        self.quantizer = (
            ResidualQuantizer(config.latent, config.bottleneck)
            if isinstance(config.bottleneck, ResidualQuantizerConfig)
            else None
        )

    @property
    def hop(self) -> int:
        """Samples a frame."""
        return self.config.hop

    @property
    def context(self) -> int:
        """Frames on each side of its own that a sample depends on."""
        return self.config.context

    @property
    def encoder_context(self) -> int:
        """Frames on each side of its own that a code depends on."""
        return self.config.encoder_context

    @property
    def codebooks(self) -> int:
        """K; 0 without a quantiser."""
        return self.quantizer.config.codebooks if self.quantizer is not None else 0

    @property
    def cardinality(self) -> int:
        """Codes of each codebook; 0 without a quantiser."""
        return self.quantizer.config.cardinality if self.quantizer is not None else 0

    def encoded(self, x: Tensor) -> Tensor:
        """[B, 1, T] -> what the encoder says [B, D, S]; T is filled up with zeros to whole frames."""
        return self.encoder(F.pad(x, (0, -x.shape[-1] % self.hop)))

    def decoded(self, latents: Tensor) -> Tensor:
        """[B, D, S] -> [B, 1, S hop], in float32."""
        return self.decoder(latents).float()

    def quantize(self, x: Tensor, used: Tensor | None = None) -> tuple[Tensor, Quantized]:
        """[B, 1, T] -> what comes out of it, with the first `used` [B] codebooks, and what the quantiser did."""
        assert self.quantizer is not None
        quantized = self.quantizer(self.encoded(x), used)
        return self.decoded(quantized.latents), quantized

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 1, T] -> mean and logarithm of the variance of the latents, each [B, Z, S], in float32."""
        mean, variance = self.encoded(x).float().chunk(2, dim=1)
        return mean, variance.clamp(*LOG_VARIANCE)

    def encode(self, x: Tensor) -> Tensor:
        """[B, 1, T] -> codes [B, K, S]."""
        assert self.quantizer is not None
        return self.quantizer.encode(self.encoded(x))

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, K, S] -> [B, 1, S hop]."""
        assert self.quantizer is not None
        return self.decoded(self.quantizer.decode(codes))


class ResidualBlock(nn.Module):
    """A dilated convolution into half the channels and back, added to its input."""

    def __init__(self, width: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(width, width // 2, kernel, padding=kernel // 2 * dilation, dilation=dilation)
        self.second = nn.Conv1d(width // 2, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T] -> [B, C, T]."""
        return x + self.second(F.elu(self.first(F.elu(x))))


class Down(nn.Module):
    """A convolution two ratios wide, every ratio samples: [B, C, S r] -> [B, 2 C, S]."""

    def __init__(self, width: int, ratio: int) -> None:
        super().__init__()
        self.padding = (ratio // 2, ratio - ratio // 2)
        self.conv = nn.Conv1d(width, 2 * width, 2 * ratio, ratio)

    def forward(self, x: Tensor) -> Tensor:
        """The last samples of a length that is no multiple of the ratio are not read."""
        return self.conv(F.pad(F.elu(x), self.padding))


class Up(nn.Module):
    """Samples of a frame as channels of a convolution (Shi et al. 2016): [B, 2 C, S] -> [B, C, S r].

    The same as a transposed convolution three ratios wide, and quicker on processors.
    """

    def __init__(self, width: int, ratio: int) -> None:
        super().__init__()
        self.ratio = ratio
        self.conv = nn.Conv1d(2 * width, width * ratio, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Channel c r + k of frame s is sample s r + k of channel c."""
        x = self.conv(F.elu(x)).unflatten(1, (-1, self.ratio))  # [B, C, r, S]
        return x.transpose(2, 3).flatten(2)


def _encoder_layers(config: AudioCodecConfig, out: int) -> list[nn.Module]:
    edge, width = config.kernel // 2, config.width
    layers: list[nn.Module] = [nn.Conv1d(1, width, config.kernel, padding=edge)]
    for ratio in config.ratios:
        layers += [ResidualBlock(width, config.residual_kernel, dilation) for dilation in config.dilations]
        layers += [Down(width, ratio)]
        width *= 2
    return [*layers, nn.ELU(), nn.Conv1d(width, out, config.kernel, padding=edge)]


def _decoder_layers(config: AudioCodecConfig) -> list[nn.Module]:
    edge, width = config.kernel // 2, config.width * 2 ** len(config.ratios)
    layers: list[nn.Module] = [nn.Conv1d(config.channels, width, config.kernel, padding=edge)]
    for ratio in reversed(config.ratios):
        width //= 2
        layers += [Up(width, ratio)]
        layers += [ResidualBlock(width, config.residual_kernel, dilation) for dilation in config.dilations]
    return [*layers, nn.ELU(), nn.Conv1d(width, 1, config.kernel, padding=edge)]


def sampled(mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """Latents drawn from their Gaussian; `noise` is of their shape."""
    return mean + (log_variance / 2).exp() * noise


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL to a standard normal, summed over channels, mean over frames and items, in nats, []."""
    each = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
    return each.sum(1).mean()


def drawn_codebooks(count: int, config: ResidualQuantizerConfig, rng: torch.Generator) -> Tensor:
    """[B] how many codebooks each item uses: for the share `dropout` any number from 1, else all."""
    draws = torch.rand(count, generator=rng)
    few = torch.randint(1, config.codebooks + 1, (count,), generator=rng)
    return torch.where(draws < config.dropout, few, config.codebooks)
