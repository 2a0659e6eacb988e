"""The strongest note at each onset of a sound: enough to find a melody again, not to write down a score.

A copy of a training piece has the notes of that piece by the same ear; read the overlap beside that of real pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from text2x.metrics.intervals import mean
from text2x.metrics.metric import Metric
from text2x.metrics.music import FALLING, NOTE_WIDTH, NOTES, PARTIALS, PITCHED, melody_tokens, onsets

LONGEST_NOTE, SHORTEST_NOTE = 0.4, 0.1  # seconds after an onset that are looked at
SPECTRUM = 8192  # points at 16 kHz, of which a note fills a part
ROUNDS = 20  # of the factors

Tokens = Sequence[tuple[int, int]]


def notes_of(sound: Tensor, sample_rate: int) -> tuple[list[int], list[float]]:
    """MIDI pitches and onsets in seconds of the strongest note after each onset of [T]; silence has none."""
    begins = onsets(sound, sample_rate).tolist()
    if not begins:
        return [], []
    size = 1 << round(np.log2(SPECTRUM * sample_rate / 16_000))
    ends = [
        min(begin + LONGEST_NOTE, following) for begin, following in zip(begins, [*begins[1:], np.inf], strict=True)
    ]
    frames = torch.zeros(len(begins), size)
    for row, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        piece = sound[round(begin * sample_rate) : round(max(end, begin + SHORTEST_NOTE) * sample_rate)][:size].float()
        frames[row, : len(piece)] = piece * torch.hann_window(max(1, len(piece)))
    kept, spectra = _spectra(size, sample_rate)
    heard = torch.fft.rfft(frames).abs().sqrt().double().numpy()[:, kept].T  # [bins, onsets]
    weights = np.ones((len(NOTES), len(begins)))
    for _ in range(ROUNDS):  # non-negative factors for the divergence of Lee and Seung (2001), as in `music`
        weights *= (spectra.T @ (heard / (spectra @ weights + 1e-9))) / spectra.sum(0)[:, None]
    return [int(NOTES[place]) for place in weights.argmax(0)], begins


@lru_cache(maxsize=4)
def _spectra(size: int, sample_rate: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which bins are looked at, and the spectrum of each note in them [bins, notes], as wide as a short window's."""
    hertz = np.fft.rfftfreq(size, 1 / sample_rate)
    kept = (hertz > PITCHED[0]) & (hertz < PITCHED[1])
    centres = 440 * 2 ** ((NOTES - 69) / 12)
    spectra = np.zeros((int(kept.sum()), len(NOTES)))
    for partial in range(1, PARTIALS + 1):
        width = np.maximum(NOTE_WIDTH * partial * centres, 2 / LONGEST_NOTE)
        spectra += FALLING ** (partial - 1) * np.exp(-0.5 * ((hertz[kept, None] - partial * centres) / width) ** 2)
    return kept, spectra


def tokens_of(sound: Tensor, sample_rate: int) -> list[tuple[int, int]]:
    """Intervals and ratios of times from note to note, as `melody_tokens` gives them."""
    return melody_tokens(*notes_of(sound, sample_rate))


def piece_overlap(made: Sequence[Tokens], training: Sequence[Tokens], own: bool = False, n: int = 4) -> Metric:
    """Mean over pieces of the share of their n-grams that the training piece with most of them has.

    `own`: the pieces are the training pieces, and each is compared with the others.
    """
    known: dict[tuple[object, ...], set[int]] = {}
    for number, piece in enumerate(training):
        for place in range(len(piece) - n + 1):
            known.setdefault(tuple(piece[place : place + n]), set()).add(number)
    values = []
    for number, piece in enumerate(made):
        grams = [tuple(piece[place : place + n]) for place in range(len(piece) - n + 1)]
        hits: dict[int, int] = {}
        for other in (each for gram in grams for each in known.get(gram, ()) if not (own and each == number)):
            hits[other] = hits.get(other, 0) + 1
        values.append(max(hits.values(), default=0) / len(grams) if grams else 0.0)
    return mean(values, f"{n}-grams of the strongest notes")
