"""Chroma: how strong each of the twelve pitch classes is over time, C first; [F, 12], of sound or of notes.

The filters are Ellis's (2007, "Chroma feature analysis and synthesis"), as librosa and MusicGen use them: Gaussians
around each semitone of every octave, those near 1 kHz weighted most.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from text2x.errors import InputError

CLASSES = 12
A4 = 440.0  # Hz
CENTRE, OCTAVES = 5.0, 2.0  # octaves above A0 that count most, and the width of that: librosa's defaults
SILENT = 1e-8  # of the power of samples in [-1, 1]: -80 dBFS
LEAST_PITCHED = 0.2  # the strongest class's share of a frame; noise has about 0.12, a chord of four notes 0.22


@dataclass(frozen=True)
class ChromaConfig:
    """Frames of `window` samples every `hop` at `rate` Hz; MusicGen takes 2^14 every 2^12 at 32 kHz.

    `first_for_none`: silence, and no melody at all, is told to a network as the first class, as in MusicGen; otherwise
    as zeros.
    """

    rate: int = 16_000
    window: int = 8192
    hop: int = 2048
    first_for_none: bool = False

    def frames(self, seconds: float) -> int:
        """How many frames a sound of so many seconds has."""
        return math.ceil(seconds * self.rate / self.hop)


@lru_cache(maxsize=4)
def chroma_filters(rate: int, window: int) -> Tensor:
    """[12, window / 2 + 1] weights of the power spectrum."""
    hertz = torch.arange(1, window, dtype=torch.float64) * rate / window
    place = CLASSES * torch.log2(hertz / (A4 / 16))  # semitones above A0
    place = torch.cat([place[:1] - 1.5 * CLASSES, place])  # the constant part lies far below all
    width = torch.cat([(place[1:] - place[:-1]).clamp_min(1), torch.ones(1, dtype=torch.float64)])
    apart = place[None] - torch.arange(CLASSES, dtype=torch.float64)[:, None]
    half = CLASSES // 2
    apart = torch.remainder(apart + half + 10 * CLASSES, CLASSES) - half
    weights = torch.exp(-0.5 * (2 * apart / width) ** 2)
    weights = weights / weights.norm(dim=0).clamp_min(1e-30)
    weights = weights * torch.exp(-0.5 * ((place / CLASSES - CENTRE) / OCTAVES) ** 2)
    return torch.roll(weights, -3, dims=0)[:, : window // 2 + 1].float()  # from A to C


def energies(samples: Tensor, config: ChromaConfig) -> Tensor:
    """Samples [T] -> [F, 12] energy of each class; a frame lies around its place, zeros beyond the ends."""
    count = max(1, math.ceil(len(samples) / config.hop))
    room = (count - 1) * config.hop + config.window
    before = config.window // 2
    padded = torch.nn.functional.pad(samples.float(), (before, max(0, room - before - len(samples))))[:room]
    frames = padded.unfold(0, config.window, config.hop) * torch.hann_window(config.window)
    power = torch.fft.rfft(frames).abs().square() / config.window
    return power @ chroma_filters(config.rate, config.window).T


def one_hot(energy: Tensor) -> Tensor:
    """[F, 12] with 1 at the strongest class of each frame, zeros where it is silent."""
    hot = torch.nn.functional.one_hot(energy.argmax(-1), CLASSES).float()
    return hot * (energy.sum(-1, keepdim=True) > SILENT)


def chroma(samples: Tensor, config: ChromaConfig) -> Tensor:
    """Samples [T] -> [F, 12], the strongest class of each frame (Copet et al. 2023, MusicGen, Sec. 2.3)."""
    return one_hot(energies(samples, config))


def melody_chroma(samples: Tensor, config: ChromaConfig) -> Tensor:
    """The same of a sound that is to have a melody; silence and noise without pitch raise InputError."""
    energy = energies(samples, config)
    heard = energy.sum(-1)
    if float(heard.max()) <= SILENT:
        raise InputError("the melody is silent; give a sound in which notes are heard")
    loud = energy[heard > 0.01 * heard.max()]
    share = float((loud.amax(-1) / loud.sum(-1)).mean())
    if share < LEAST_PITCHED:
        raise InputError(
            f"the melody has no pitch: its strongest note has {share:.0%} of the power, and at least "
            f"{LEAST_PITCHED:.0%} is asked for; give one that is sung or played"
        )
    return one_hot(energy)


def score_chroma(notes: Iterable[tuple[float, float, int]], seconds: float, config: ChromaConfig) -> Tensor:
    """Notes (begin, end in seconds, MIDI pitch) -> [F, 12], the highest note that is heard at each frame's middle."""
    made, highest = torch.zeros(config.frames(seconds), CLASSES), [-1] * config.frames(seconds)
    for begin, end, pitch in notes:
        first, last = math.ceil(begin * config.rate / config.hop), math.ceil(end * config.rate / config.hop)
        for frame in range(max(0, first), min(last, len(made))):
            if pitch > highest[frame]:
                highest[frame] = pitch
                made[frame] = torch.nn.functional.one_hot(torch.tensor(pitch % CLASSES), CLASSES).float()
    return made


def fitted(melody: Tensor, first: int, count: int) -> Tensor:
    """[F, 12] -> [count, 12] from frame `first` on, beginning again where the melody ends."""
    return melody[torch.arange(first, first + count) % len(melody)]
