from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from text2x.audio import Audio
from text2x.errors import InputError
from text2x.metrics.speech import (
    DECIBELS,
    against_reference,
    cepstra,
    compare,
    duration_errors,
    edits,
    error_rates,
    recognition,
    warping,
    words_of,
)

RATE = 16_000


def voice(hz: float, seconds: float = 0.6, tilt: float = 1.0) -> Audio:
    t = np.arange(round(seconds * RATE)) / RATE
    return Audio(sum(np.sin(2 * np.pi * k * hz * t) / k**tilt for k in range(1, 20)) * 0.1, RATE)


@given(st.lists(st.sampled_from("abc"), max_size=7), st.lists(st.sampled_from("abc"), max_size=7))
@settings(deadline=None)
def test_edits_are_a_distance(a: list[str], b: list[str]):
    assert edits(a, b) == edits(b, a)
    assert (edits(a, b) == 0) == (a == b)
    assert abs(len(a) - len(b)) <= edits(a, b) <= max(len(a), len(b))


def test_edits_of_known_pairs():
    assert edits("kitten", "sitting") == 3
    assert edits((), "abc") == 3
    assert edits(["the", "cat", "sat"], ["the", "bat", "sat", "down"]) == 2


def test_numbers_and_case_are_no_errors():
    assert words_of("Press 5, please!") == ("press", "five", "please")
    assert error_rates(["Press 5, please!"], ["press five please"])["wer"].value == 0


def test_error_rates_are_over_all_words_and_letters():
    rates = error_rates(["one two three four", "go"], ["one too three", "stop it"])
    assert rates["wer"].value == pytest.approx((2 + 2) / 5)
    letters = (edits("onetwothreefour", "onetoothree") + edits("go", "stopit")) / 17
    assert rates["cer"].value == pytest.approx(letters)


def test_nothing_heard_is_one_error_a_word():
    heard = recognition([voice(100)] * 2, ["one two", "three"], lambda sound: "")
    assert heard["wer"].value == 1 and heard["wer"].n == 2


def test_a_text_without_words_is_refused():
    with pytest.raises(InputError, match="without words"):
        error_rates([" "], ["hello"])


def all_ways(n: int, m: int) -> list[list[tuple[int, int]]]:
    def go(i: int, j: int) -> list[list[tuple[int, int]]]:
        if (i, j) == (n - 1, m - 1):
            return [[(i, j)]]
        steps = [(i + 1, j), (i, j + 1), (i + 1, j + 1)]
        return [[(i, j), *rest] for a, b in steps if a < n and b < m for rest in go(a, b)]

    return go(0, 0)


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_the_warping_is_the_cheapest_of_all_ways(seed: int, n: int, m: int):
    costs = np.random.default_rng(seed).random((n, m))
    way = warping(costs)
    ways = all_ways(n, m)
    assert [tuple(step) for step in way.tolist()] in ways
    cheapest = min(sum(costs[step] for step in each) for each in ways)
    assert costs[way[:, 0], way[:, 1]].sum() == pytest.approx(cheapest)


def test_speech_is_at_no_distance_from_itself_and_loudness_does_not_count():
    sound = voice(120)
    same = compare(sound, sound)
    assert (same.cepstral, same.pitch, same.voicing, same.longer) == (pytest.approx(0, abs=1e-4), 0, 0, 1)
    assert compare(sound.gain(-6), sound).cepstral < 1e-3


def test_one_coefficient_of_difference_is_its_share_of_decibels():
    """White noise through a filter whose log gain is a cosine of the mel scale."""
    from text2x.signal import hz_to_mel

    noise = np.random.default_rng(0).normal(0, 0.1, 8 * RATE)
    size = len(noise)
    mel = hz_to_mel(np.fft.rfftfreq(size, 1 / RATE), "slaney") / float(hz_to_mel(RATE / 2, "slaney"))
    filtered = np.fft.irfft(np.fft.rfft(noise) * np.exp(0.5 * np.cos(3 * np.pi * mel)), size)
    change = (cepstra(Audio(filtered, RATE)) - cepstra(Audio(noise, RATE))).mean(0)
    assert change[2] == pytest.approx(0.5, abs=0.04)
    assert np.abs(np.delete(change, 2)).max() < 0.05
    made = compare(Audio(filtered[:RATE], RATE), Audio(noise[:RATE], RATE))
    assert made.cepstral > 0.5 * DECIBELS / math.sqrt(2) * 0.8


def test_pitch_is_compared_in_semitones_and_slower_speech_is_only_longer():
    octave = compare(voice(200), voice(100))
    assert octave.pitch == pytest.approx(12, abs=0.1)
    slow = compare(voice(120, 0.9), voice(120, 0.6))
    assert slow.longer == pytest.approx(1.5)
    assert slow.pitch == pytest.approx(0, abs=0.05) and slow.cepstral < 1


def test_voicing_differs_where_one_of_them_whispers():
    rng = np.random.default_rng(0)
    half = np.concatenate([voice(120).samples[0], rng.normal(0, 0.1, 9600)])
    assert compare(Audio(half, RATE), Audio(half, RATE)).voicing == 0
    whispered = compare(Audio(rng.normal(0, 0.1, 9600), RATE), voice(120))
    assert whispered.voicing > 0.9 and whispered.pitch is None


def test_means_over_sentences_have_intervals():
    figures = against_reference([voice(100), voice(150)], [voice(100), voice(100)])
    assert set(figures) == {"mcd", "pitch", "voicing", "longer"}
    assert figures["pitch"].value == pytest.approx(12 * math.log2(1.5) / 2, abs=0.1)
    assert figures["pitch"].low < figures["pitch"].value < figures["pitch"].high


def test_duration_errors_in_closed_form():
    figures = duration_errors([[10, 10], [5, 5]], [[8, 14], [5, 5]])
    assert figures["absolute"].value == pytest.approx((30 + 0) / 2)
    assert figures["sentence"].value == pytest.approx((2 / 22) / 2)
    with pytest.raises(InputError, match="1 durations against 2"):
        duration_errors([[1]], [[1, 2]])


def test_sentences_are_told_apart_by_pocketsphinx_only_if_they_differ():
    from text2x.metrics.recognition import closed_set

    pytest.importorskip("pocketsphinx")
    for sentences, said in ((["hello"], "no choice"), (["It is 5.", "it is five"], "sound alike")):
        with pytest.raises(InputError, match=said):
            closed_set(sentences)


def test_without_pocketsphinx_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    import sys

    from text2x.metrics.recognition import recogniser

    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(InputError, match=r"pip install 'text2x\[eval\]'"):
        recogniser()


@pytest.mark.medium
def test_dnsmos_hears_noise_as_worse_than_a_clean_tone():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("speechmos")
    from text2x.metrics.dnsmos import PARTS, load_dnsmos

    measure = load_dnsmos()
    rng = np.random.default_rng(0)
    clean = np.tile(np.concatenate([voice(130, 0.5).samples[0], np.zeros(4000)]), 4)
    noisy = clean + rng.normal(0, clean.std(), len(clean))
    first, second = measure(Audio(clean, RATE)), measure(Audio(np.clip(noisy, -1, 1), RATE))
    assert set(first) == set(PARTS)
    assert first["background"] > second["background"] + 0.5
    assert all(0.5 < value < 5 for value in itertools.chain(first.values(), second.values()))


@pytest.mark.medium
def test_dnsmos_gives_the_figures_of_its_package():
    """Expected: speechmos 0.0.1.1 with librosa 0.11 on the same sound."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("speechmos")
    from text2x.metrics.dnsmos import dnsmos

    rng = np.random.default_rng(7)
    t = np.arange(11 * RATE) / RATE
    phase = 2 * np.pi * np.cumsum(120 + 20 * np.sin(2 * np.pi * 0.7 * t)) / RATE
    sound = sum(np.sin(k * phase) / k for k in range(1, 25)) * 0.08 * (0.5 + 0.5 * np.sin(2 * np.pi * 3 * t))
    figures = dnsmos([Audio(sound + rng.normal(0, 0.002, len(t)), RATE)])
    expected = {"overall": 1.973067, "signal": 2.706480, "background": 2.416377, "p808": 2.506404}
    for part, value in expected.items():
        assert figures[part].value == pytest.approx(value, abs=2e-3)
