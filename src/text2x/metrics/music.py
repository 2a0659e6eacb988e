"""Music held against what is known of it: onsets, tempo, key, and how much of a melody is in a training piece.

Sounds are [T] in [-1, 1]; times are seconds. Everything here is signal processing: no network judges.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from text2x.errors import InputError
from text2x.metrics.intervals import mean, rate
from text2x.metrics.metric import Metric, same_length
from text2x.signal import MelConfig, STFTConfig, mel_spectrogram

HOP_SECONDS = 0.01
TOLERANCE = 0.05  # seconds between an onset and its match, as in MIREX's onset task
ABOVE = 0.035  # how far a peak of the flux stands out, of the largest one
AROUND = (0.03, 0.1)  # seconds in which a peak is the highest, and over which the mean is taken
LEAST_GAP = 0.05  # seconds between onsets
LAG = 2  # frames between which the spectrum rises: superflux (Böck and Widmer 2013)
DELAY = 0.02  # seconds that the flux rises before the onset that it shows: half a window
CENTRE_TEMPO, OCTAVES = 110.0, 1.0  # beats a minute that are likeliest, and the spread around it in octaves
TEMPI = (40.0, 220.0)
CLOSE = 0.04  # a tempo counts as right within 4 % (Gouyon et al. 2006)
MULTIPLES = (1.0, 2.0, 0.5, 3.0, 1 / 3, 1.5, 2 / 3)
KEY_WINDOW = 16_384  # samples at 16 kHz: about a second, for semitones of low notes
NOTES = np.arange(33, 97)  # of MIDI
PITCHED = (50.0, 4000.0)  # Hz in which notes are looked for
PARTIALS, FALLING, NOTE_WIDTH = (
    8,
    0.6,
    0.012,
)  # of a note, how each is weaker than the one before, and its relative width
# Probe-tone ratings of the twelve classes over a tonic (Krumhansl and Kessler 1982)
MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


# Onsets


def spectral_flux(sound: Tensor, sample_rate: int) -> NDArray[np.float64]:
    """[F] how much louder the bands of a sound get, a value every 10 ms (Dixon 2006, "Onset detection revisited")."""
    _check(sound, sample_rate)
    hop = round(HOP_SECONDS * sample_rate)
    config = MelConfig(sample_rate, STFTConfig(4 * hop, 4 * hop, hop), 60, 30.0, sample_rate / 2, floor=1e-3)
    peak = sound.float().abs().max().clamp_min(1e-6)
    padded = torch.nn.functional.pad(sound.float() / peak, (4 * hop, 4 * hop))
    mel = mel_spectrogram(padded[None], config)[0].double()
    wide = torch.nn.functional.max_pool1d(mel.T[:, None], 3, 1, 1)[:, 0].T  # so that vibrato is no onset
    rise = (mel[:, LAG:] - wide[:, :-LAG]).clamp_min(0).mean(0)
    whole = max(1, len(sound) // hop - LAG - 1)  # where a sound is cut off, the click is none of its onsets
    return torch.nn.functional.pad(rise, (LAG, 0)).numpy()[4 : 4 + whole]


def onsets(sound: Tensor, sample_rate: int) -> NDArray[np.float64]:
    """Seconds at which notes or strokes begin, ascending; silence has none."""
    flux = spectral_flux(sound, sample_rate)
    if not len(flux) or flux.max() < 1e-3:
        return np.zeros(0)
    flux = flux / flux.max()
    near, wide = (max(1, round(each / HOP_SECONDS)) for each in AROUND)
    found: list[float] = []
    for place in range(len(flux)):
        first = flux[max(0, place - near) : place + near + 1]
        around = flux[max(0, place - wide) : place + wide + 1]
        seconds = place * HOP_SECONDS + DELAY - LAG * HOP_SECONDS / 2
        peak = flux[place] >= first.max() and flux[place] > around.mean() + ABOVE
        if peak and (not found or seconds - found[-1] >= LEAST_GAP):
            found.append(seconds)
    return np.array(found)


@dataclass(frozen=True)
class Agreement:
    """How many of the found are right, how many of the true are found, and their harmonic mean."""

    precision: float
    recall: float
    f: float
    matched: int


def onset_agreement(found: Sequence[float], true: Sequence[float], tolerance: float = TOLERANCE) -> Agreement:
    """Match each true onset to at most one found onset within `tolerance` seconds, as many as can be.

    True onsets within 1 ms of each other are one: a chord. Nothing found where nothing is true is agreement.
    """
    first = np.sort(np.asarray(found, dtype=np.float64))
    second = np.sort(np.asarray(true, dtype=np.float64))
    second = second[np.diff(second, prepend=-math.inf) > 1e-3]
    if not len(first) and not len(second):
        return Agreement(1.0, 1.0, 1.0, 0)
    matched, place = 0, 0
    for onset in second:  # both ascend: the earliest that fits is the best for the rest
        while place < len(first) and first[place] < onset - tolerance:
            place += 1
        if place < len(first) and first[place] <= onset + tolerance:
            matched += 1
            place += 1
    precision, recall = matched / max(1, len(first)), matched / max(1, len(second))
    return Agreement(precision, recall, 2 * matched / (len(first) + len(second)), matched)


def onset_f(sounds: Sequence[Tensor], true: Sequence[Sequence[float]], sample_rate: int, seed: int = 0) -> Metric:
    """Mean F of the onsets of sounds against those that should be heard; bootstrap interval over sounds."""
    same_length({"sounds": sounds, "lists of onsets": true})
    pairs = zip(sounds, true, strict=True)
    values = [onset_agreement(onsets(sound, sample_rate).tolist(), times).f for sound, times in pairs]
    return mean(values, f"spectral-flux onsets within {TOLERANCE * 1000:.0f} ms", seed)


# Tempo


def tempo(sound: Tensor, sample_rate: int) -> float:
    """Beats a minute, 40 to 220, from the autocorrelation of the flux with a likely range (Ellis 2007).

    Silence and sounds below two beats raise InputError.
    """
    flux = spectral_flux(sound, sample_rate)
    if len(sound) < 2 * sample_rate:
        raise InputError(f"{len(sound) / sample_rate:.2f} s are too short for a tempo; at least 2 s are needed")
    if flux.max() < 1e-3:
        raise InputError("a silent sound has no tempo; leave it out")
    flux = flux - flux.mean()
    size = 1 << (2 * len(flux) - 1).bit_length()
    spectrum = np.fft.rfft(flux, size)
    correlation = np.fft.irfft(spectrum * spectrum.conj(), size)[: len(flux)]
    correlation /= np.maximum(1, len(flux) - np.arange(len(flux)))
    tempi = np.geomspace(*TEMPI, 400)
    lags = 60 / tempi / HOP_SECONDS
    strength = sum(
        weight * np.interp(lags * times, np.arange(len(flux)), correlation, right=0.0)
        for times, weight in ((1, 1.0), (2, 0.5), (4, 0.25))
    )
    prior = np.exp(-0.5 * (np.log2(tempi / CENTRE_TEMPO) / OCTAVES) ** 2)
    return float(tempi[int((np.maximum(strength, 0) * prior).argmax())])


def tempo_error(found: float, true: float) -> float:
    """|found / true - 1|, with the found tempo taken at the multiple that fits best: halves, thirds, doubles."""
    if not found > 0 or not true > 0:
        raise InputError(f"tempi are above 0 beats a minute, got {found:g} and {true:g}")
    return min(abs(found * times / true - 1) for times in MULTIPLES)


def tempo_accuracy(found: Sequence[float], true: Sequence[float], multiples: bool = True) -> Metric:
    """Share of tempi within 4 %, at any multiple (accuracy 2 of Gouyon et al. 2006) or as they are (accuracy 1)."""
    same_length({"tempi": found, "true tempi": true})
    pairs = list(zip(found, true, strict=True))
    errors = [tempo_error(a, b) if multiples else abs(a / b - 1) for a, b in pairs]
    return rate([float(error <= CLOSE) for error in errors], "tempo within 4 %" + " at any multiple" * multiples)


# Key


def key_of_chroma(weights: NDArray[np.floating]) -> tuple[int, str]:
    """Tonic (0 is C) and mode of 12 weights, C first: the profile that correlates best (Krumhansl 1990)."""
    given = np.asarray(weights, dtype=np.float64)
    if given.shape != (12,) or not given.max() > given.min():
        raise InputError(f"a key needs 12 weights that differ, got {given.tolist()}")
    profiles = [(np.roll(profile, tonic), tonic, mode) for mode, profile in PROFILES for tonic in range(12)]
    best = max(profiles, key=lambda each: np.corrcoef(given, each[0])[0, 1])
    return best[1], best[2]


PROFILES = (("major", np.array(MAJOR)), ("minor", np.array(MINOR)))


def key_of(sound: Tensor, sample_rate: int) -> tuple[int, str]:
    """Tonic and mode of a sound, by the notes that explain its spectrum; silence raises InputError."""
    _check(sound, sample_rate)
    if not float(sound.abs().max()) > 0:
        raise InputError("a silent sound has no key; leave it out")
    weights = np.zeros(12)
    np.add.at(weights, NOTES % 12, note_weights(sound, sample_rate))
    return key_of_chroma(weights)


def note_weights(sound: Tensor, sample_rate: int) -> NDArray[np.float64]:
    """[64] how much of a sound's mean spectrum each note from A1 to C7 explains, partials with their fundamental.

    Non-negative factors with fixed spectra of notes, for the divergence of Lee and Seung (2001). Without it the third
    and fifth partials of every note are heard as a major chord.
    """
    size = 1 << round(math.log2(KEY_WINDOW * sample_rate / 16_000))
    padded = torch.nn.functional.pad(sound.float(), (size // 2, size))
    frames = padded.unfold(0, size, size // 8) * torch.hann_window(size)
    hertz = np.fft.rfftfreq(size, 1 / sample_rate)
    kept = (hertz > PITCHED[0]) & (hertz < PITCHED[1])
    spectrum = torch.fft.rfft(frames).abs().sqrt().mean(0).double().numpy()[kept]
    centres = 440 * 2 ** ((NOTES - 69) / 12)
    spectra = np.zeros((int(kept.sum()), len(NOTES)))
    for partial in range(1, PARTIALS + 1):
        apart = (hertz[kept, None] - partial * centres) / (NOTE_WIDTH * partial * centres)
        spectra += FALLING ** (partial - 1) * np.exp(-0.5 * apart**2)
    weights = np.ones(len(NOTES))
    for _ in range(60):
        weights *= (spectra.T @ (spectrum / (spectra @ weights + 1e-9))) / spectra.sum(0)
    return weights


def key_score(found: tuple[int, str], true: tuple[int, str]) -> float:
    """1 for the same key, 0.5 a fifth above or below, 0.3 the relative, 0.2 the parallel one, else 0 (MIREX)."""
    (tonic, mode), (right, right_mode) = found, true
    if found == true:
        return 1.0
    if mode == right_mode:
        return 0.5 if (tonic - right) % 12 in (5, 7) else 0.0
    relative = (right + 9) % 12 if right_mode == "major" else (right + 3) % 12
    return 0.3 if tonic == relative else 0.2 if tonic == right else 0.0


def key_accuracy(found: Sequence[tuple[int, str]], true: Sequence[tuple[int, str]], weighted: bool = False) -> Metric:
    """Share of right keys, or with `weighted` the mean MIREX score; chance is 1 of 24."""
    same_length({"keys": found, "true keys": true})
    scores = [key_score(a, b) for a, b in zip(found, true, strict=True)]
    if weighted:
        return mean(scores, "Krumhansl-Kessler keys, MIREX weights")
    return rate([float(score == 1.0) for score in scores], "Krumhansl-Kessler keys")


# Copies of melodies


def melody_tokens(pitches: Sequence[int], begins: Sequence[float]) -> list[tuple[int, int]]:
    """From note to note: the interval in semitones, and the ratio of the times between onsets, in steps of √2.

    Neither key nor tempo changes them, so a copy that is moved or played faster is found.
    """
    same_length({"pitches": pitches, "onsets": begins})
    gaps = np.maximum(np.diff(np.asarray(begins, dtype=np.float64)), 1e-3)
    ratios = np.rint(2 * np.log2(gaps[1:] / gaps[:-1])).astype(int)
    intervals = np.diff(np.asarray(pitches, dtype=np.int64))
    return [(int(interval), int(ratio)) for interval, ratio in zip(intervals[1:], ratios, strict=True)]


def ngram_overlap(first: Sequence[object], second: Sequence[object], n: int = 4) -> float:
    """Share of the n-grams of the first that are in the second; 0 where the first has none."""
    if n < 1:
        raise InputError(f"n is {n}; n-grams have at least 1 element")
    mine, others = ([tuple(each[place : place + n]) for place in range(len(each) - n + 1)] for each in (first, second))
    known = set(others)
    return sum(gram in known for gram in mine) / len(mine) if mine else 0.0


def nearest_overlap(
    made: Sequence[Sequence[object]], training: Sequence[Sequence[object]], n: int = 4, seed: int = 0
) -> Metric:
    """Mean over pieces of the overlap with the training piece that shares most; read it beside held-out pieces'."""
    if not training:
        raise InputError("there are no training pieces to compare with; give at least 1")
    values = [max(ngram_overlap(piece, other, n) for other in training) for piece in made]
    return mean(values, f"{n}-grams of intervals and rhythm", seed)


def _check(sound: Tensor, sample_rate: int) -> None:
    if sound.ndim != 1 or not len(sound):
        raise InputError(f"a sound has the shape {list(sound.shape)}; [T] samples of one channel are needed")
    if not 8000 <= sample_rate <= 96_000:
        raise InputError(f"a rate of {sample_rate} Hz is out of range; resample to 8000 to 96000")
