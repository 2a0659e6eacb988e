"""`tone-speech`: sentences in two voices, synthesised by a formula with exact timing and pitch; for trials in seconds.

Vowels are harmonics under two resonances, voiced consonants the same and softer, others noise. It is no human's speech.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from text2x.data.speechset import Clip, SpeechSet

NAME = "tone-speech"
RATE, HOP = 8000, 80  # Hz and samples
WORDS: dict[str, str] = {  # as CMUdict has them
    "red": "R EH1 D", "green": "G R IY1 N", "blue": "B L UW1", "one": "W AH1 N", "two": "T UW1", "three": "TH R IY1",
    "go": "G OW1", "stop": "S T AA1 P", "left": "L EH1 F T", "right": "R AY1 T", "up": "AH1 P", "down": "D AW1 N",
}  # fmt: skip
VOICES: dict[str, float] = {"low": 110.0, "high": 190.0}  # Hz
RESONANCES: dict[str, tuple[float, float]] = {  # Hz, the first two of each vowel
    "AA": (750, 1150), "AH": (620, 1220), "AW": (680, 1050), "AY": (660, 1500), "EH": (550, 1800), "IY": (290, 2300),
    "OW": (480, 950), "UW": (320, 850),
}  # fmt: skip
VOICED = {"B", "D", "G", "L", "N", "R", "W"}
NOISE: dict[str, float] = {"F": 1400, "P": 900, "S": 3300, "T": 2600, "TH": 1900}  # Hz, the middle of a band
SOFT = 0.35  # of consonants


@dataclass(frozen=True)
class _Phone:
    """How long a phone is and how it sounds."""

    frames: int
    resonances: tuple[float, float]
    loud: float
    voiced: bool


def tone_speech(sentences: int = 60, seed: int = 0) -> SpeechSet:
    """Sentences of two to four words, in turn by each voice."""
    clips: list[Clip] = []
    sounds: list[NDArray[np.int16]] = []
    pitches: list[NDArray[np.float32]] = []
    start = 0
    for number in range(sentences):
        rng = np.random.default_rng([seed, number])
        voice = list(VOICES)[number % len(VOICES)]
        words = [str(word) for word in rng.choice(list(WORDS), rng.integers(2, 5))]
        phones = ["sil", *(phone for word in words for phone in WORDS[word].split()), "."]
        samples, pitch, durations = spoken(phones, VOICES[voice], rng)
        text = " ".join(words).capitalize() + "."
        clips.append(Clip(f"{number:03d}", text, "en", voice, tuple(phones), durations, len(samples), "CC0-1.0", start))
        sounds.append(np.rint(samples * 32767).astype(np.int16))
        pitches.append(pitch)
        start += len(samples)
    about = {"licence": "CC0-1.0", "source": "computed"}
    return SpeechSet(NAME, clips, np.concatenate(sounds), np.concatenate(pitches), RATE, HOP, about)


def spoken(
    phones: list[str], hertz: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float32], tuple[int, ...]]:
    """Samples [T] in [-1, 1], pitch [F] in Hz (0: no voice) and frames of each phone; the pitch falls to the end."""
    made = [_phone(phone, rng) for phone in phones]
    durations = tuple(each.frames for each in made)
    total = sum(durations)
    repeats = np.repeat(np.arange(len(made)), np.array(durations) * HOP)
    fall = np.linspace(1.08, 0.9, total * HOP) * hertz
    voiced = np.array([each.voiced for each in made])[repeats]
    loud = _smoothed(np.array([each.loud for each in made])[repeats])
    first, second = (_smoothed(np.array([each.resonances[k] for each in made])[repeats]) for k in (0, 1))
    phase = 2 * np.pi * np.cumsum(fall) / RATE
    wave = np.zeros(total * HOP)
    for harmonic in range(1, int(0.45 * RATE / hertz) + 1):
        at = harmonic * fall
        strength = 1 / (1 + ((at - first) / 110) ** 2) + 0.6 / (1 + ((at - second) / 150) ** 2)
        wave += strength * np.sin(harmonic * phase) * voiced
    hiss = rng.normal(0, 1, total * HOP) * np.cos(2 * np.pi * np.cumsum(second) / RATE) * ~voiced
    wave = (0.16 * wave + 0.2 * hiss) * loud + rng.normal(0, 1e-3, total * HOP)
    pitch = np.where(voiced, fall, 0).reshape(total, HOP)[:, HOP // 2]
    return np.clip(wave, -1, 1), pitch.astype(np.float32), durations


def _phone(phone: str, rng: np.random.Generator) -> _Phone:
    plain = phone.rstrip("012")
    if plain in RESONANCES:
        return _Phone(int(rng.integers(9, 13)), RESONANCES[plain], 1.0, True)
    if plain in VOICED:
        place = sorted(VOICED).index(plain)
        return _Phone(int(rng.integers(5, 8)), (260.0 + 30 * place, 900.0 + 220 * place), SOFT, True)
    if plain in NOISE:
        return _Phone(int(rng.integers(6, 9)), (500.0, NOISE[plain]), SOFT, False)
    return _Phone(int(rng.integers(8, 12)), (500.0, 1000.0), 0.0, False)


def _smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """A mean over a frame and a half: from one phone to the next without a step."""
    size = HOP * 3 // 2
    padded = np.pad(values.astype(np.float64), (size // 2, size - 1 - size // 2), mode="edge")
    sums = np.cumsum(np.concatenate([[0.0], padded]))
    return (sums[size:] - sums[:-size]) / size
