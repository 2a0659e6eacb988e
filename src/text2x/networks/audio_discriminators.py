"""Discriminators of sound [B, C, T]: of periods, and of short-time spectra at several resolutions. Weights are normed.

Periods: Kong et al. 2020, HiFi-GAN, Sec. 2.3. Magnitudes: Jang et al. 2021, UnivNet, Sec. 2.2 (Vocos's). Complex
spectra: Defossez et al. 2022, EnCodec, Sec. 3.4, for codecs. Each gives logits, higher for what looks real, and the
features of its layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from text2x.errors import InputError
from text2x.signal import STFTConfig, hann, stft

SLOPE = 0.1  # of leaky ReLUs (HiFi-GAN; EnCodec and UnivNet have 0.2)


class Judgement(NamedTuple):
    """What one discriminator says: logits [B, N], and the features of each layer."""

    logits: Tensor
    features: list[Tensor]


@dataclass(frozen=True)
class AudioDiscriminatorConfig:
    """Which discriminators look at a sound.

    `period_widths` are the channels of the layers, each a third as long as the one before, but the last; HiFi-GAN has
    32, 128, 512, 1024, 1024. `complex_spectra` shows real and imaginary parts instead of magnitudes and looks farther
    in time.
    """

    channels: int = 1
    periods: tuple[int, ...] = (2, 3, 5, 7, 11)
    period_widths: tuple[int, ...] = (16, 64, 128, 256, 256)
    ffts: tuple[int, ...] = (512, 1024, 2048)  # a quarter of each is its hop
    spectral_width: int = 16
    spectral_stride: int = 1  # of the first layer over frequencies; 2 takes half the time
    complex_spectra: bool = False

    def __post_init__(self) -> None:
        if not self.periods and not self.ffts:
            raise InputError("discriminator has neither periods nor ffts; give it some of one kind")
        if any(
            each < 1
            for each in (self.channels, *self.periods, self.spectral_width, self.spectral_stride, *self.period_widths)
        ):
            raise InputError(
                "discriminator has a period, a width, a stride or channels below 1; each must be at least 1"
            )
        if any(each < 16 for each in self.ffts) or (self.periods and len(self.period_widths) < 2):
            raise InputError("discriminator.ffts must be at least 16 each, and period_widths at least 2 numbers")


# Vocos's and EnCodec's, at full size
FULL = AudioDiscriminatorConfig(period_widths=(32, 128, 512, 1024, 1024), spectral_width=32)
FULL_CODEC = AudioDiscriminatorConfig(
    periods=(), ffts=(2048, 1024, 512, 256, 128), spectral_width=32, complex_spectra=True
)


class PeriodDiscriminator(nn.Module):
    """Samples that lie a period apart, side by side."""

    def __init__(self, period: int, channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.period = period
        pairs = zip((channels, *widths[:-1]), widths, strict=True)
        strides = [3] * (len(widths) - 1) + [1]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(*pair, (5, 1), (stride, 1), (2, 0)))
            for pair, stride in zip(pairs, strides, strict=True)
        )
        self.end = weight_norm(nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, x: Tensor) -> Judgement:
        """[B, C, T]."""
        missing = -x.shape[-1] % self.period
        x = F.pad(x, (0, missing), mode="reflect").unflatten(-1, (-1, self.period))  # [B, C, T / P, P]
        return _judged(self.layers, self.end, x)


class SpectralDiscriminator(nn.Module):
    """A short-time spectrum as a picture of time and frequency."""

    def __init__(self, fft: int, about: AudioDiscriminatorConfig) -> None:
        super().__init__()
        self.config, self.complex_spectra = STFTConfig(fft, fft, fft // 4), about.complex_spectra
        width, channels = about.spectral_width, about.channels * (1 + about.complex_spectra)
        dilations = (1, 2, 4) if about.complex_spectra else (1, 1, 1)
        layers = [nn.Conv2d(channels, width, (3, 9), (1, about.spectral_stride), (1, 4))]
        layers += [
            nn.Conv2d(width, width, (3, 9), (1, 2), (dilation, 4), dilation=(dilation, 1)) for dilation in dilations
        ]
        layers += [nn.Conv2d(width, width, 3, padding=1)]
        self.layers = nn.ModuleList(weight_norm(layer) for layer in layers)
        self.end = weight_norm(nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, x: Tensor) -> Judgement:
        """[B, C, T]."""
        config = self.config
        energy = hann(config.window, config.fft, str(x.device)).square().sum().sqrt()
        spectrum = stft(x.flatten(0, 1), config).unflatten(0, x.shape[:2]) / energy  # [B, C, F, bins]
        if self.complex_spectra:
            x = torch.cat([spectrum.real, spectrum.imag], dim=1)
        else:
            x = (spectrum.real.square() + spectrum.imag.square()).clamp_min(1e-14).sqrt()
        wanted = torch.is_autocast_enabled(x.device.type) and x.device.type != "cpu"  # where bfloat16 is slower here
        with torch.autocast(x.device.type, enabled=wanted):
            return _judged(self.layers, self.end, x)


class AudioDiscriminator(nn.Module):
    """All discriminators of a config."""

    def __init__(self, config: AudioDiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        spectral = (SpectralDiscriminator(fft, config) for fft in config.ffts)
        periods = (PeriodDiscriminator(each, config.channels, config.period_widths) for each in config.periods)
        self.judges = nn.ModuleList([*periods, *spectral])

    def forward(self, x: Tensor) -> list[Judgement]:
        """[B, T] or [B, C, T] in [-1, 1] -> one judgement each."""
        x = x[:, None] if x.ndim == 2 else x
        return [judge(x) for judge in self.judges]


def _judged(layers: nn.ModuleList, end: nn.Module, x: Tensor) -> Judgement:
    features = []
    for layer in layers:
        x = F.leaky_relu(layer(x), SLOPE)
        features.append(x)
    return Judgement(end(x).flatten(1).float(), features)
