"""Signals: short-time Fourier transforms, mel spectrograms, Griffin-Lim, overlap-add, spectral losses. x is [B, T].

Framing is "same": frame f is centred on sample (f + 1/2) hop, so that F frames stand for F hop samples. With
`centred` frame f is centred on sample f hop, as librosa's and torch's default: then there are 1 + T // hop frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from text2x.errors import InputError


@dataclass(frozen=True)
class STFTConfig:
    """A Fourier transform of `fft` points every `hop` samples through a Hann window of `window`, centred in it."""

    fft: int = 1024
    window: int = 640
    hop: int = 160
    centred: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.hop <= self.window <= self.fft:
            raise InputError(
                f"hop {self.hop}, window {self.window} and fft {self.fft} must rise in this order from at least 1"
            )

    @property
    def bins(self) -> int:
        """Frequencies from 0 to half the rate."""
        return self.fft // 2 + 1

    @property
    def overhang(self) -> int:
        """Samples by which the first frame begins before the signal."""
        return self.fft // 2 if self.centred else (self.fft - self.hop) // 2

    def frames(self, samples: int) -> int:
        """How many frames that many samples have; a last part of a hop counts as one unless `centred`."""
        return 1 + samples // self.hop if self.centred else -(-samples // self.hop)


@dataclass(frozen=True)
class MelConfig:
    """A log-mel spectrogram: ln(max(floor, mel filters times |STFT|^power)).

    `scale` and `area` are librosa's htk=False and norm="slaney". The defaults are 80 bands of 0 to 8 kHz at 16 kHz.
    """

    rate: int = 16_000
    stft: STFTConfig = STFTConfig()
    bands: int = 80
    low: float = 0.0  # Hz
    high: float = 8000.0
    scale: Literal["slaney", "htk"] = "slaney"
    area: bool = True  # each filter's area is 1: as loud in wide bands as in narrow ones
    power: float = 1.0
    floor: float = 1e-5

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= self.rate / 2:
            raise InputError(f"mel bands from {self.low} to {self.high} Hz do not lie between 0 and {self.rate / 2} Hz")

    @property
    def hop(self) -> int:
        """Samples a frame."""
        return self.stft.hop


# Published models of 22.05 kHz: HiFi-GAN's own (Kong et al. 2020), and Indic-TTS's, whose frames are `centred`
HIFIGAN_MEL = MelConfig(22_050, STFTConfig(1024, 1024, 256))
INDIC_TTS_MEL = MelConfig(22_050, STFTConfig(1024, 1024, 256, centred=True))


# Fourier transforms


@lru_cache(maxsize=64)
def hann(window: int, fft: int, device: str = "cpu") -> Tensor:
    """[fft] a periodic Hann window of `window` samples in the middle of zeros."""
    before = (fft - window) // 2
    with torch.inference_mode(False):  # it is kept, and may be needed for a gradient later
        return F.pad(torch.hann_window(window), (before, fft - window - before)).to(device)


def framed(x: Tensor, config: STFTConfig) -> Tensor:
    """[B, T] -> frames [B, F, fft], mirrored beyond the ends, with zeros where that is too short to be mirrored."""
    frames, before = config.frames(x.shape[-1]), config.overhang
    needed = (frames - 1) * config.hop + config.fft  # of the padded signal
    if x.shape[-1] <= before or needed - before - x.shape[-1] >= x.shape[-1]:
        x = F.pad(x, (0, needed - x.shape[-1]))
    after = max(0, needed - before - x.shape[-1])
    x = F.pad(x[:, None], (before, after), mode="reflect")[:, 0]
    return x[:, :needed].unfold(-1, config.fft, config.hop)


def stft(x: Tensor, config: STFTConfig) -> Tensor:
    """[B, T] -> complex [B, F, bins], not normalised."""
    window = hann(config.window, config.fft, str(x.device))
    return torch.fft.rfft(framed(x.float(), config) * window)


def istft(spectrum: Tensor, config: STFTConfig, samples: int | None = None) -> Tensor:
    """Complex [B, F, bins] -> [B, samples]: windowed overlap-add over the squared window (Griffin and Lim 1984, Eq. 6).

    `samples` is F hop where nothing is said, one hop less if `centred`.
    """
    window = hann(config.window, config.fft, str(spectrum.device))
    pieces = torch.fft.irfft(spectrum, config.fft) * window  # [B, F, fft]
    total = overlap_add(pieces, config.hop)
    weight = overlap_add(window.square().expand(1, *pieces.shape[1:]), config.hop)
    length = (spectrum.shape[1] - config.centred) * config.hop if samples is None else samples
    part = slice(config.overhang, config.overhang + length)
    return total[:, part] / weight[:, part].clamp_min(1e-8)


def overlap_add(pieces: Tensor, hop: int) -> Tensor:
    """Pieces [B, F, N], each `hop` after the one before, summed: [B, (F - 1) hop + N]."""
    count, size = pieces.shape[1:]
    steps = -(-size // hop)
    padded = F.pad(pieces, (0, steps * hop - size)).unflatten(-1, (steps, hop))  # [B, F, S, hop]
    total = pieces.new_zeros(pieces.shape[0], count + steps - 1, hop)
    for step in range(steps):
        total[:, step : step + count] += padded[:, :, step]
    return total.flatten(1)[:, : (count - 1) * hop + size]


# Mel


def hz_to_mel(hz: np.ndarray | float, scale: str) -> np.ndarray:
    """Slaney's Auditory Toolbox (1998): linear below 1 kHz, logarithmic above; or HTK's 2595 log10(1 + f / 700)."""
    hz = np.asarray(hz, dtype=np.float64)
    if scale == "htk":
        return 2595 * np.log10(1 + hz / 700)
    return np.where(hz < 1000, hz * 3 / 200, 15 + 27 * np.log(np.maximum(hz, 1000) / 1000) / np.log(6.4))


def mel_to_hz(mel: np.ndarray | float, scale: str) -> np.ndarray:
    """The inverse of `hz_to_mel`."""
    mel = np.asarray(mel, dtype=np.float64)
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp(np.log(6.4) * (np.maximum(mel, 15) - 15) / 27))


@lru_cache(maxsize=32)
def mel_filters(config: MelConfig, device: str = "cpu") -> Tensor:
    """[bins, bands] float32: triangles between neighbouring points of the mel scale."""
    low, high = hz_to_mel(np.array([config.low, config.high]), config.scale).tolist()
    points = mel_to_hz(np.linspace(low, high, config.bands + 2), config.scale)  # [bands + 2]
    bins = np.linspace(0, config.rate / 2, config.stft.bins)[:, None]
    rising = (bins - points[:-2]) / (points[1:-1] - points[:-2])
    falling = (points[2:] - bins) / (points[2:] - points[1:-1])
    filters = np.maximum(0, np.minimum(rising, falling))
    if config.area:
        filters *= 2 / (points[2:] - points[:-2])
    with torch.inference_mode(False):  # kept, as the window is
        return torch.from_numpy(filters.astype(np.float32)).to(device)


def magnitude(x: Tensor, config: STFTConfig) -> Tensor:
    """[B, T] -> |STFT| [B, F, bins], with a gradient of 0 where it is 0."""
    spectrum = stft(x, config)
    return (spectrum.real.square() + spectrum.imag.square()).clamp_min(1e-14).sqrt()


def mel_spectrogram(x: Tensor, config: MelConfig) -> Tensor:
    """[B, T] in [-1, 1] -> natural logarithm of mel magnitudes [B, bands, F]."""
    values = magnitude(x, config.stft)
    values = values if config.power == 1 else values.pow(config.power)
    with torch.autocast(x.device.type, enabled=False):  # in float32 whatever surrounds it
        mel = torch.matmul(values, mel_filters(config, str(x.device)))  # [B, F, bands]
    return mel.clamp_min(config.floor).log().transpose(1, 2)


# From magnitudes back to a signal


@lru_cache(maxsize=8)
def _inverse_filters(config: MelConfig) -> tuple[Tensor, Tensor]:
    """Pseudo-inverse [bands, bins], and filters times their transpose over the largest eigenvalue, for NNLS."""
    filters = mel_filters(config).double()
    step = 1 / torch.linalg.eigvalsh(filters.T @ filters)[-1]
    return torch.linalg.pinv(filters).float(), (filters * step).float()


def invert_mel(mel: Tensor, config: MelConfig, iterations: int = 32) -> Tensor:
    """Log-mel [B, bands, F] -> magnitudes [B, F, bins] of at least 0 whose mel is nearest (NNLS).

    Begins from the pseudo-inverse; projected gradient steps with momentum (Beck and Teboulle 2009, FISTA).
    """
    wanted = mel.float().exp().transpose(1, 2).cpu()  # [B, F, bands]
    inverse, scaled = _inverse_filters(config)
    filters = mel_filters(config)
    found = previous = (wanted @ inverse).clamp_min(0)  # [B, F, bins]
    t = 1.0
    for _ in range(iterations):
        next_t = (1 + (1 + 4 * t * t) ** 0.5) / 2
        ahead = found + (t - 1) / next_t * (found - previous)
        previous, t = found, next_t
        found = (ahead - (ahead @ filters - wanted) @ scaled.T).clamp_min(0)
    return found.pow(1 / config.power).to(mel.device)


def griffin_lim(
    magnitudes: Tensor, config: STFTConfig, iterations: int = 60, momentum: float = 0.99, seed: int = 0
) -> Tensor:
    """Magnitudes [B, F, bins] -> [B, T]: a signal whose |STFT| is near them, by alternating projections.

    Fast variant with momentum (Perraudin et al. 2013, Algorithm 2). Phases begin random, the same for every item.
    """
    shape = magnitudes.shape[1:]
    angles = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * (2 * torch.pi)
    phases = torch.polar(torch.ones(shape), angles).to(magnitudes.device)
    previous = torch.zeros_like(phases)
    for _ in range(iterations):
        rebuilt = stft(istft(magnitudes * phases, config), config)[:, : shape[0]]
        ahead = rebuilt - momentum / (1 + momentum) * previous
        phases = ahead / ahead.abs().clamp_min(1e-16)
        previous = rebuilt
    return istft(magnitudes * phases, config)


# Windows of a long signal


@dataclass(frozen=True)
class Window:
    """A part of a sequence to be computed: [start, end) is read, of which [first, last) is kept."""

    start: int
    end: int
    first: int
    last: int


def windows(length: int, size: int, context: int) -> Iterator[Window]:
    """Parts of `size` that cover `length`, each read with `context` more on both sides where there is more."""
    for first in range(0, length, size):
        last = min(length, first + size)
        yield Window(max(0, first - context), min(length, last + context), first, last)


# Losses

LOSS_RESOLUTIONS = (STFTConfig(1024, 600, 120), STFTConfig(2048, 1200, 240), STFTConfig(512, 240, 50))


def spectral_loss(
    made: Tensor, real: Tensor, resolutions: Sequence[STFTConfig] = LOSS_RESOLUTIONS
) -> dict[str, Tensor]:
    """Multi-resolution STFT loss of [B, T]: "convergence" and "magnitude" (Yamamoto et al. 2020, Eq. 4 to 6)."""
    convergence, logarithms = made.new_zeros(()), made.new_zeros(())
    for config in resolutions:
        of_made, of_real = magnitude(made, config), magnitude(real, config)
        distance = (of_real - of_made).flatten(1).norm(dim=1) / of_real.flatten(1).norm(dim=1).clamp_min(1e-5)
        convergence = convergence + distance.mean() / len(resolutions)
        logarithms = logarithms + F.l1_loss(of_made.log(), of_real.log()) / len(resolutions)
    return {"convergence": convergence, "magnitude": logarithms}


def multi_scale_mel_configs(rate: int, exponents: Sequence[int] = range(5, 12)) -> tuple[MelConfig, ...]:
    """Mel spectrograms with windows of 2^5 to 2^11, hop a quarter (Defossez et al. 2022, EnCodec, Sec. 3.4)."""

    def bands(fft: int) -> int:
        return {5: 5, 6: 10, 7: 20, 8: 40, 9: 80}.get(fft.bit_length() - 1, 80)

    sizes = [2**exponent for exponent in exponents]
    return tuple(
        MelConfig(rate, STFTConfig(size, size, size // 4), bands(size), high=rate / 2, area=False) for size in sizes
    )


def mel_loss(made: Tensor, real: Tensor, configs: Sequence[MelConfig]) -> Tensor:
    """Mean over the configs of the mean absolute difference of log-mels of [B, T]."""
    each = [F.l1_loss(mel_spectrogram(made, config), mel_spectrogram(real, config)) for config in configs]
    return torch.stack(each).mean()
