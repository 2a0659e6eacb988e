"""A set of labelled sounds that are easily told apart, and a classifier of them that is trained in a second."""

from __future__ import annotations

import numpy as np

from text2x.audio import Audio
from text2x.data.audioset import AudioSet, Clip, in_memory
from text2x.metrics.sound_judge import SoundJudgeConfig
from text2x.networks.sound_classifier import SoundClassifierConfig

RATE = 8000
LABELS = ("low", "high", "hiss")
CONFIG = SoundJudgeConfig(SoundClassifierConfig(16, 16, (8, 12), features=8), epochs=1, least_steps=40, batch_size=16)


def labelled_sounds(count: int = 90) -> AudioSet:
    """Tones and noise of 0.5 to 0.7 s, each with its own caption and group."""
    return in_memory("labelled", RATE, (_sound(number) for number in range(count)))


def _sound(number: int) -> tuple[Clip, Audio]:
    rng = np.random.default_rng(number)
    label = LABELS[number % len(LABELS)]
    times = np.arange(round(rng.uniform(0.5, 0.7) * RATE)) / RATE
    hertz = rng.uniform(200, 300) if label == "low" else rng.uniform(1500, 2500)
    wave = rng.normal(size=len(times)) / 4 if label == "hiss" else np.sin(2 * np.pi * hertz * times)
    key = f"{label}-{number}"
    return Clip(key, 0, 1, key, f"a {label} sound, {number}", label=label), Audio(0.8 * np.clip(wave, -1, 1), RATE)
