from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from text2x.audio import Audio
from text2x.data.phone_alignment import NotAligned, PhoneAligner, Timed, readings
from text2x.data.recordings import LeftOut, Recording, _grouped, _together, kept_sound, letters, spoken_clips, tightened
from text2x.data.tone_speech import tone_speech
from text2x.errors import InputError
from text2x.spoken import is_silence, read, sounds

RATE = 16_000


def recording(key: str, text: str, sound: Audio | None, language: str = "hi") -> Recording:
    def load() -> Audio:
        if sound is None:
            raise InputError("not readable: nothing there")
        return sound

    return Recording(key, text, language, "someone", "CC0-1.0", load)


def tone(seconds: float = 1.0, level: float = 0.2) -> Audio:
    t = np.arange(round(seconds * RATE)) / RATE
    return Audio(level * np.sin(2 * np.pi * 150 * t), RATE)


# Silence


def test_long_silences_are_shortened_from_their_middle_and_the_sound_with_them():
    timed = Timed(("sil", "AA1", ",", "B", "."), (50, 10, 80, 5, 60), (-1, 0, 0, 1, 1), 0.0)
    short, kept = tightened(timed, 100)
    assert short.durations == (10, 10, 50, 5, 25)
    assert kept == [(140, 185), (215, 270)]
    frames = np.repeat(np.arange(400), 160)
    assert len(kept_sound(frames, kept, RATE)) == sum(short.durations) * 160
    assert kept_sound(frames, kept, RATE)[0] == 140


def test_short_silences_stay_as_they_are():
    timed = Timed(("sil", "AA1", "."), (4, 30, 12), (-1, 0, 0), 0.0)
    short, kept = tightened(timed, 0)
    assert short.durations == timed.durations
    assert np.array_equal(kept_sound(np.arange(46 * 160), kept, RATE), np.arange(46 * 160))


def test_sentences_without_silence_between_stay_one_clip():
    parts = [
        Timed(("sil", "A", "."), (3, 5, 20), (), -5.0),
        Timed(("sil", "B", "."), (2, 5, 1), (), -9.0),
        Timed(("sil", "C", "."), (1, 5, 9), (), -7.0),
    ]
    assert _grouped(parts) == [[0], [1, 2]]
    joined = _together(parts[1:])
    assert joined.symbols == ("sil", "B", ".", "C", ".")
    assert joined.durations == (2, 5, 2, 5, 9) and joined.score == -9.0


# What is left out


def test_reasons_are_counted_by_kind():
    left_out = LeftOut()
    for key in "abcd":
        left_out.add(key, f"too long: {key} s")
    left_out.add("e", "silent all through")
    assert left_out.counted() == ("1 left out: silent all through (e)", "4 left out: too long (a, b, c, …)")
    assert left_out.lines()[0] == "a: too long: a s"


def test_each_fault_is_told_and_the_others_are_used():
    good = "नमस्ते, आप कैसे हैं?"
    given = [
        recording("good", good, tone()),
        recording("empty", "?!", tone()),
        recording("broken", good, None),
        recording("silent", good, tone(level=0.0)),
        recording("short", good, tone(0.1)),
        recording("long", good, tone(20)),
        recording("endless", good, Audio(np.ones(200 * 1000), 1000)),
    ]
    left_out = LeftOut()
    clips = list(spoken_clips(given, RATE, 160, left_out))
    assert [each.clip.key for each in clips] == ["good"] and clips[0].clip.durations is None
    assert clips[0].clip.phones == sounds(read(good, "hi").utterances[0]).symbols
    reasons = dict(left_out.reasons)
    assert set(reasons) == {each.key for each in given[1:]}
    assert reasons["long"] == "too long: 20.0 s; at most 15" and reasons["short"].startswith("too short: 0.10 s")
    assert reasons["endless"].startswith("too long: 200 s; at most 180") and reasons["silent"] == "silent all through"


def test_a_sentence_of_another_language_is_not_aligned_as_english():
    left_out = LeftOut()
    assert not list(spoken_clips([recording("x", "नमस्ते।", tone(), "en")], RATE, 160, left_out))
    assert left_out.reasons == [("x", "its text is of another language: hi")]


def test_letters_stand_for_phones_where_a_language_cannot_be_read():
    assert letters("Ça va, toi?") == ("sil", "ç", "a", "sil", "v", "a", ",", "t", "o", "i", "?")
    with pytest.raises(InputError, match="figures"):
        letters("tapez 5")


# Alignment


def test_a_word_is_known_by_all_its_readings_but_those_that_differ_in_stress():
    assert readings("read", ("R", "EH1", "D")) == (("R", "EH1", "D"), ("R", "IY1", "D"))
    assert readings("xyzzy", ("Z", "IH1")) == (("Z", "IH1"),)


def test_phones_are_timed_where_they_are_said():
    pytest.importorskip("pocketsphinx")
    speech = tone_speech(6)
    utterances = [read(clip.text).utterances for clip in speech.clips]
    aligner = PhoneAligner([each for group in utterances for each in group])
    errors = []
    for index, (clip, group) in enumerate(zip(speech.clips, utterances, strict=True)):
        samples = Audio(speech.samples_of(index) / 32768, speech.rate).resample(RATE).to_int16()[0]
        try:
            (timed,) = aligner.align(samples, group)
        except NotAligned:
            continue
        assert timed.symbols == clip.phones and sum(timed.durations) == len(samples) // 160
        ends, expected = np.cumsum(timed.durations)[:-1], np.cumsum(clip.durations)[:-1]
        errors += np.abs(ends - expected).tolist()
    assert len(errors) > 30  # most sentences have a way through, though this is no human's speech
    assert np.median(errors) <= 5  # frames of 10 ms


def test_sentences_of_one_recording_are_timed_one_after_the_other():
    pytest.importorskip("pocketsphinx")
    speech = tone_speech(12)
    first, second = (Audio(speech.samples_of(n) / 32768, speech.rate).resample(RATE).to_int16()[0] for n in (1, 7))
    text = f"{speech.clips[1].text} {speech.clips[7].text}"
    utterances = read(text).utterances
    samples = np.concatenate([first, np.zeros(3200, np.int16), second])
    timed = PhoneAligner(utterances).align(samples, utterances)
    assert [each.symbols for each in timed] == [speech.clips[n].phones for n in (1, 7)]
    assert sum(sum(each.durations) for each in timed) == len(samples) // 160
    border = sum(timed[0].durations) * 160
    assert len(first) - 3200 <= border <= len(first) + 3200 * 2
    assert is_silence(timed[0].symbols[-1]) and timed[0].durations[-1] >= 5


def test_words_that_do_not_fit_the_sound_are_told():
    pytest.importorskip("pocketsphinx")
    utterances = read("This is a very long sentence of many words, and none of them is said here at all.").utterances
    with pytest.raises(NotAligned):
        PhoneAligner(utterances).align(np.zeros(4800, np.int16), utterances)
    left_out = LeftOut()
    given = [recording("x", "one two three", Audio(np.random.default_rng(0).normal(0, 0.1, 16_000), RATE), "en")]
    assert not list(spoken_clips(given, RATE, 160, left_out))
    assert left_out.reasons[0][1].startswith(("the words may be others", "the words were not found"))


def test_without_pocketsphinx_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    import sys

    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    with pytest.raises(InputError, match=r"pip install 'text2x\[data\]'"):
        PhoneAligner(read("hello").utterances)
