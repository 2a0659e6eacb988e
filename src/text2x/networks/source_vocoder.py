"""A vocoder that hears the pitch: harmonics and noise, filtered frame by frame as a network says; mel [B, M, F].

A pulse train that follows the pitch, whose phase never jumps, and white noise go through two filters, which the blocks
of a Vocos make of the mel (source and filter as in Wang, Takaki and Yamagishi 2019, NSF, and Liu, Chen and Yu 2020,
NHV). What a network finds hardest in a few hours, phases that agree from frame to frame, is given; it learns the rest.
Everything is in frames of `hop` samples; the pitch is the network's own estimate, so that only a mel is needed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from text2x.errors import InputError
from text2x.networks.acoustic_blocks import ConvNeXt1d
from text2x.networks.vocoder import Vocos, VocosConfig
from text2x.signal import istft, stft

CENTS = 25  # between classes of pitch
NEAR = 2  # classes on each side of the likeliest one that the estimate is a mean over
NOISE = 65_537  # samples until the noise comes again, 4 s at 16 kHz; prime
BEGINNING = -3.0  # logarithm of both filters before training: speech is far quieter than its sources, whose power is 1


@dataclass(frozen=True)
class SourceVocosConfig(VocosConfig):
    """Shape of the network: a Vocos and a smaller network beside it that finds the pitch from `low` to `high` Hz."""

    rate: int = 16_000
    low: float = 60.0
    high: float = 500.0
    pitch_width: int = 128
    pitch_layers: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.low < self.high < self.rate / 4 or min(self.pitch_width, self.pitch_layers) < 1:
            raise InputError(
                f"network finds pitches from {self.low} to {self.high} Hz at {self.rate} Hz with {self.pitch_layers}"
                f" layers of width {self.pitch_width}; pitches must rise and stay below a quarter of the rate"
            )

    @property
    def context(self) -> int:
        """Frames on each side of its own that a sample depends on: twice a window's reach, and a network's."""
        blocks = self.kernel // 2 * (self.layers + 1)
        reach = super().context - blocks
        pitch = self.kernel // 2 * (self.pitch_layers + 1) + 1 + reach  # pitches between frames, the source's window
        return reach + max(blocks, pitch)

    @property
    def classes(self) -> int:
        """Pitches that are told apart."""
        return math.ceil(1200 / CENTS * math.log2(self.high / self.low)) + 1


class PitchFinder(nn.Module):
    """Log-mel frames to how likely each pitch is (classes on a logarithmic scale as in Kim et al. 2018, CREPE)."""

    def __init__(self, config: SourceVocosConfig) -> None:
        super().__init__()
        self.config = config
        width = config.pitch_width
        self.begin = nn.Conv1d(config.bands, width, config.kernel, padding=config.kernel // 2)
        self.blocks = nn.ModuleList(ConvNeXt1d(width, config.kernel, 2) for _ in range(config.pitch_layers))
        self.norm = nn.LayerNorm(width)
        self.end = nn.Linear(width, config.classes)

    def forward(self, mel: Tensor) -> Tensor:
        """[B, M, F] -> logits [B, F, classes]."""
        x = self.begin(mel)
        for block in self.blocks:
            x = block(x, x.new_ones(()))
        return self.end(self.norm(x.transpose(1, 2))).float()

    def pitch(self, logits: Tensor) -> Tensor:
        """[B, F, classes] -> Hz [B, F]: the mean of the logarithm around the likeliest class."""
        places = torch.arange(logits.shape[-1], device=logits.device)
        best = logits.argmax(-1, keepdim=True)
        near = (places - best).abs() <= NEAR
        weights = logits.masked_fill(~near, -math.inf).softmax(-1)
        return self.config.low * 2 ** ((weights * places).sum(-1) * CENTS / 1200)

    def loss(self, logits: Tensor, pitch: Tensor) -> Tensor:
        """Cross entropy to a Gaussian of one class around the true pitch [B, F] in Hz, where there is one (above 0)."""
        voiced = pitch > 0
        if not voiced.any():
            return logits.new_zeros(())
        true = torch.log2(pitch[voiced].clamp(self.config.low, self.config.high) / self.config.low) * 1200 / CENTS
        places = torch.arange(logits.shape[-1], device=logits.device)
        wanted = (-0.5 * (places - true[:, None]).square()).softmax(-1)
        return F.cross_entropy(logits[voiced], wanted)


class SourceVocos(Vocos):
    """Log-mel frames to samples, by filters over harmonics and noise."""

    HEADS = 3  # logarithm and phase of the harmonics' filter, logarithm of the noise's

    def __init__(self, config: SourceVocosConfig) -> None:
        super().__init__(config)
        self.config: SourceVocosConfig = config
        self.finder = PitchFinder(config)
        nn.init.constant_(self.head.bias, 0.0)
        with torch.no_grad():
            logarithm, _, quiet = self.head.bias.chunk(3)
            logarithm.fill_(BEGINNING)
            quiet.fill_(BEGINNING)
        rng = torch.Generator().manual_seed(0)
        self.register_buffer("noise", torch.randn(NOISE, generator=rng), persistent=False)
        self.noise: Tensor

    def forward(self, mel: Tensor) -> Tensor:
        """[B, M, F] -> [B, F hop], in float32; each item with another part of the noise."""
        return self.with_logits(mel)[0]

    def with_logits(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Samples [B, F hop], and the pitch finder's logits [B, F, classes] to be trained; pitches pass no gradient."""
        logits = self.finder(mel)
        phase = self.phases(self.finder.pitch(logits.detach()))
        first = torch.arange(len(mel), device=mel.device) * mel.shape[-1] * self.config.hop
        return self._filtered(mel, phase, self._noise(first, phase.shape[1] - 1)), logits

    @torch.no_grad()
    def piece(self, mel: Tensor, keep: tuple[int, int], frame: int, phase: float) -> tuple[Tensor, float]:
        """Samples of the frames keep[0] to keep[1] of [1, M, F]; and the phase, in cycles, after them.

        `frame` is the place of the first kept frame in the whole, `phase` that of its first sample.
        """
        hop = self.config.hop
        phases = self.phases(self.finder.pitch(self.finder(mel)))
        phases = phases + (phase - phases[:, keep[0] * hop])[:, None]
        first = torch.tensor([(frame - keep[0]) * hop], device=mel.device)
        made = self._filtered(mel, phases, self._noise(first, phases.shape[1] - 1))
        return made[0, keep[0] * hop : keep[1] * hop], float(phases[0, keep[1] * hop]) % 1.0

    def phases(self, pitch: Tensor) -> Tensor:
        """Hz [B, F] at the middles of frames -> cycles [B, F hop + 1] in float64, 0 at the first sample.

        The pitch between frames is interpolated, before the first middle and after the last it stays.
        """
        hop = self.config.hop
        ends = F.pad(pitch.double()[:, None], (1, 1), mode="replicate")
        fine = F.interpolate(ends, scale_factor=hop, mode="linear", align_corners=False)[:, 0, hop:-hop]
        return F.pad((fine / self.config.rate).cumsum(1), (1, 0))

    def _noise(self, first: Tensor, samples: int) -> Tensor:
        """White noise [B, samples] from the places [B]."""
        places = first[:, None] + torch.arange(samples, device=first.device)
        return self.noise[places % NOISE]

    def _filtered(self, mel: Tensor, phases: Tensor, noise: Tensor) -> Tensor:
        hidden = self.hidden(mel)
        with torch.autocast(hidden.device.type, enabled=False):
            logarithm, phase, quiet = self.head(hidden).chunk(3, dim=-1)
            most = self.config.stft.fft / 2
            tone = torch.polar(logarithm.exp().clamp_max(most), phase) * stft(harmonics(phases), self.config.stft)
            hiss = quiet.exp().clamp_max(most) * stft(noise, self.config.stft)
            return istft(tone + hiss, self.config.stft)


def harmonics(phases: Tensor) -> Tensor:
    """All harmonics below half the rate, of equal strength and power 1 together: cycles [B, T + 1] -> [B, T] float32.

    Sum of cos(k x) for k = 1 to K: sin((K + 1/2) x) / (2 sin(x / 2)) - 1/2, the Dirichlet kernel.
    """
    steps = phases.diff(dim=1).clamp_min(1e-6)
    count = (0.5 / steps).ceil().sub(1).clamp_min(1).float()  # K: the last harmonic below half a cycle a sample
    x = 2 * math.pi * (phases[:, :-1] - phases[:, :-1].round()).float()
    below = (x / 2).sin()
    small = below.abs() < 1e-4
    kernel = ((count + 0.5) * x).sin() / (2 * torch.where(small, torch.ones_like(below), below)) - 0.5
    return torch.where(small, count, kernel) * (2 / count).sqrt()
