"""A set that is computed and not stored: vowel-like tones with gliding pitch, for trials of vocoders in seconds."""

from __future__ import annotations

import numpy as np

from text2x.audio import Audio
from text2x.data.audioset import AudioSet, Clip, in_memory

VOWELS = {"a": (800, 1200), "i": (300, 2300), "u": (350, 800), "e": (500, 1900)}  # Hz, of the first two resonances


def tones(count: int = 24, rate: int = 16_000, seconds: float = 1.0, seed: int = 0) -> AudioSet:
    """`count` clips, each a vowel whose pitch glides between 90 and 300 Hz, with a breath of noise."""
    return in_memory("tones", rate, [_tone(number, rate, seconds, seed) for number in range(count)])


def _tone(number: int, rate: int, seconds: float, seed: int) -> tuple[Clip, Audio]:
    rng = np.random.default_rng([seed, number])
    time = np.arange(round(seconds * rate)) / rate
    pitch = 2 ** np.interp(time / seconds, [0, 0.5, 1], rng.uniform(np.log2(90), np.log2(300), 3))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    vowel = list(VOWELS)[number % len(VOWELS)]
    wave = np.zeros(len(time))
    for harmonic in range(1, 40):
        hertz = harmonic * pitch
        strength = sum(1 / (1 + ((hertz - centre) / 120) ** 2) for centre in VOWELS[vowel]) / harmonic**0.5
        wave += np.where(hertz < 0.45 * rate, strength, 0) * np.sin(harmonic * phase)
    wave = wave / np.abs(wave).max() * 0.5 + rng.normal(0, 0.003, len(time))
    envelope = np.minimum(1, np.minimum(time, seconds - time) / 0.05)
    return Clip(f"{vowel}-{number:03d}", 0, len(time), group=str(number), text=vowel), Audio(wave * envelope, rate)
