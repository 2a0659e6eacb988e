"""Onsets, tempo, key and overlap on sounds and notes whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from text2x.errors import InputError
from text2x.metrics.music import (
    MAJOR,
    MINOR,
    key_accuracy,
    key_of,
    key_of_chroma,
    key_score,
    melody_tokens,
    nearest_overlap,
    ngram_overlap,
    onset_agreement,
    onset_f,
    onsets,
    tempo,
    tempo_accuracy,
    tempo_error,
)

RATE = 16_000


def notes(times: list[float], pitches: list[int], seconds: float, rate: int = RATE) -> torch.Tensor:
    """Plucked tones with three partials."""
    sound = torch.zeros(round(seconds * rate))
    for begin, pitch in zip(times, pitches, strict=True):
        first = round(begin * rate)
        at = torch.arange(min(rate, len(sound) - first)) / rate
        hertz = 440 * 2 ** ((pitch - 69) / 12)
        wave = sum(torch.sin(2 * math.pi * hertz * part * at) / part for part in (1, 2, 3))
        sound[first : first + len(at)] += 0.2 * wave * torch.exp(-6 * at)
    return sound


@pytest.mark.parametrize("rate", [16_000, 32_000, 44_100])
def test_the_onsets_of_plucked_notes_are_found_where_they_are(rate: int):
    times = [0.1, 0.5, 0.75, 1.3, 2.0, 2.2]
    found = onsets(notes(times, [60, 64, 67, 72, 60, 62], 3.0, rate), rate)
    assert len(found) == 6 and np.abs(found - times).max() < 0.03


def test_silence_and_a_steady_tone_have_no_onsets_but_their_beginning():
    assert len(onsets(torch.zeros(RATE), RATE)) == 0
    steady = torch.sin(2 * math.pi * 440 * torch.arange(2 * RATE) / RATE) * 0.5
    found = onsets(steady, RATE)
    assert len(found[(found > 0.1) & (found < 1.9)]) == 0


def test_agreement_counts_each_onset_once():
    same = onset_agreement([0.5, 1.0], [0.5, 1.0])
    assert (same.precision, same.recall, same.f) == (1, 1, 1)
    half = onset_agreement([0.5, 0.52, 3.0], [0.51, 1.0])
    assert (half.matched, half.precision, half.recall) == (1, 1 / 3, 1 / 2) and half.f == pytest.approx(0.4)
    assert onset_agreement([0.5], [0.56]).matched == 0 and onset_agreement([0.5], [0.55]).matched == 1
    assert onset_agreement([1.0], [1.0, 1.0, 1.0]).recall == 1  # a chord
    assert onset_agreement([], []).f == 1 and onset_agreement([], [1.0]).f == 0


def test_a_match_takes_the_earliest_that_fits_so_that_the_most_are_matched():
    assert onset_agreement([0.96, 1.04], [1.0, 1.08]).matched == 2


def test_the_mean_agreement_has_an_interval():
    sounds = [notes([0.2, 0.8], [60, 67], 1.5), notes([0.4], [72], 1.5)]
    figure = onset_f(sounds, [[0.2, 0.8], [0.4]], RATE)
    assert figure.value == 1 and figure.n == 2 and "50 ms" in figure.space


@pytest.mark.parametrize("beats", [75, 100, 132])
def test_the_tempo_of_steady_notes_is_found(beats: int):
    times = np.arange(0, 7.5, 60 / beats)
    sound = notes(times.tolist(), [60 + (3 * n) % 12 for n in range(len(times))], 8.0)
    assert tempo_error(tempo(sound, RATE), beats) < 0.03


def test_tempo_errors_take_multiples_and_accuracy_can_leave_them():
    assert tempo_error(120, 120) == tempo_error(60, 120) == tempo_error(240, 120) == 0
    assert tempo_error(125, 120) == pytest.approx(5 / 120)
    assert tempo_accuracy([60, 121, 100], [120, 120, 120]).value == pytest.approx(2 / 3)
    assert tempo_accuracy([60, 121, 100], [120, 120, 120], multiples=False).value == pytest.approx(1 / 3)


def test_what_has_no_tempo_or_key_says_so():
    with pytest.raises(InputError, match=r"1.00 s are too short"):
        tempo(torch.ones(RATE), RATE)
    with pytest.raises(InputError, match="no tempo"):
        tempo(torch.zeros(3 * RATE), RATE)
    with pytest.raises(InputError, match="no key"):
        key_of(torch.zeros(RATE), RATE)
    with pytest.raises(InputError, match="12 weights that differ"):
        key_of_chroma(np.ones(12))
    with pytest.raises(InputError, match="above 0"):
        tempo_error(0, 120)


@pytest.mark.parametrize("tonic", range(12))
def test_the_profiles_themselves_are_of_their_key(tonic: int):
    assert key_of_chroma(np.roll(MAJOR, tonic)) == (tonic, "major")
    assert key_of_chroma(np.roll(MINOR, tonic)) == (tonic, "minor")


@pytest.mark.parametrize(
    ("tonic", "mode", "steps"), [(0, "major", (0, 4, 7, 5, 9, 12)), (9, "minor", (0, 3, 7, 8, 3, 12))]
)
def test_the_key_of_a_cadence_is_found(tonic: int, mode: str, steps: tuple[int, ...]):
    pitches = [57 + (tonic - 9) % 12 + step for step in (0, *steps, 0, 7, 0)]
    sound = notes([0.4 * n for n in range(len(pitches))], pitches, 4.5)
    assert key_of(sound, RATE) == (tonic, mode)


def test_keys_that_are_near_count_in_part():
    pairs = [((0, "major"), 1.0), ((7, "major"), 0.5), ((5, "major"), 0.5), ((9, "minor"), 0.3), ((0, "minor"), 0.2)]
    assert [key_score(found, (0, "major")) for found, _ in pairs] == [score for _, score in pairs]
    assert key_score((0, "major"), (9, "minor")) == 0.3 and key_score((1, "major"), (0, "major")) == 0
    found = [found for found, _ in pairs]
    assert key_accuracy(found, [(0, "major")] * 5).value == 0.2
    assert key_accuracy(found, [(0, "major")] * 5, weighted=True).value == pytest.approx(0.5)


def test_a_melody_in_another_key_and_tempo_has_the_same_tokens():
    pitches, begins = [60, 62, 64, 60, 67], [0.0, 0.5, 1.0, 2.0, 2.5]
    assert melody_tokens(pitches, begins) == melody_tokens([p + 5 for p in pitches], [1 + 0.8 * t for t in begins])
    assert melody_tokens(pitches, begins) == [(2, 0), (-4, 2), (7, -2)]
    assert melody_tokens([60, 62], [0, 1]) == []


def test_overlap_is_the_share_of_ngrams_that_are_known():
    assert ngram_overlap("abcdef", "xabcdy", 3) == 0.5  # abc, bcd of abc, bcd, cde, def
    assert ngram_overlap("abcd", "abcd") == 1 and ngram_overlap("abc", "abcd") == 0
    figure = nearest_overlap(["abcdef", "uvwxyz"], ["abcdef", "zzzz"], 3)
    assert figure.value == 0.5 and figure.n == 2
    with pytest.raises(InputError, match="no training pieces"):
        nearest_overlap(["a"], [])
    with pytest.raises(InputError, match="n is 0"):
        ngram_overlap("a", "a", 0)
