from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from text2x.data.speechset import AUDIO, Clip, SpeechSet, Spoken, phone_table, same_words, split_of_text, write_speech
from text2x.data.tone_speech import tone_speech
from text2x.errors import InputError
from text2x.spoken import PHONES

RATE, HOP = 16_000, 160
ABOUT = {"licence": "CC0-1.0", "source": "computed"}


def spoken(key: str, text: str = "", frames: tuple[int, ...] = (10, 20, 10), hz: float = 150.0) -> Spoken:
    t = np.arange(sum(frames) * HOP) / RATE
    sound = sum(np.sin(2 * np.pi * k * hz * t) / k for k in range(1, 8)) * 0.1
    sound[: frames[0] * HOP] = 0
    sound[len(sound) - frames[-1] * HOP :] = 0
    phones = ("sil", "AA1", ".")
    return Spoken(Clip(key, text or f"Sentence {key}.", "en", "nobody", phones, frames, 0, "CC0-1.0"), sound)


def written(folder: Path, clips: list[Spoken]) -> SpeechSet:
    write_speech(folder, clips, RATE, HOP, ABOUT)
    return SpeechSet.load(folder)


def test_a_set_comes_back_as_it_was_written(tmp_path: Path):
    clips = [spoken(str(n), frames=(5 + n, 20, 7)) for n in range(5)]
    made = written(tmp_path / "set", clips)
    assert len(made) == 5 and made.aligned and made.about == ABOUT and made.name == "set"
    assert made.seconds == pytest.approx(sum(len(each.samples) for each in clips) / RATE)
    for index, each in enumerate(clips):
        assert replace(made.clips[index], start=0, samples=0) == each.clip
        expected = np.rint(each.samples * 32768).astype(np.int16)
        assert np.array_equal(made.samples_of(index), expected)


def test_the_same_clips_give_the_same_bytes(tmp_path: Path):
    for name in ("a", "b"):
        write_speech(tmp_path / name / "set", [spoken("1"), spoken("2")], RATE, HOP, ABOUT)
    for file in (tmp_path / "a" / "set").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / "set" / file.name).read_bytes()


def test_pitch_is_found_where_there_is_voice_and_averaged_over_phones(tmp_path: Path):
    made = written(tmp_path / "set", [spoken("1", hz=200.0)])
    silence, vowel, end = made.phone_pitch_of(0)
    assert vowel == pytest.approx(200, rel=0.01) and not made.pitch_of(0)[:8].any()
    assert silence in (0, pytest.approx(200, rel=0.05)) and end in (0, pytest.approx(200, rel=0.05))


def test_pitch_that_is_known_is_kept(tmp_path: Path):
    known = np.linspace(90, 120, 40, dtype=np.float32)
    made = written(tmp_path / "set", [replace(spoken("1"), pitch=known)])
    assert np.array_equal(made.pitch_of(0), known)
    with pytest.raises(InputError, match="39 frames of pitch for 40"):
        write_speech(tmp_path / "other", [replace(spoken("1"), pitch=known[1:])], RATE, HOP, ABOUT)
    assert not (tmp_path / "other").exists()


def test_a_last_part_of_a_frame_is_filled_with_silence(tmp_path: Path):
    each = spoken("1", frames=(10, 20, 11))
    made = written(tmp_path / "set", [replace(each, samples=each.samples[:-100])])
    assert made.clips[0].samples == 41 * HOP and not made.samples_of(0)[-100:].any()


def test_durations_that_do_not_fill_the_sound_are_refused(tmp_path: Path):
    wrong = replace(spoken("7"), clip=replace(spoken("7").clip, durations=(1, 2, 3)))
    with pytest.raises(InputError, match="the durations of 7 are 6 frames, its sound 40"):
        write_speech(tmp_path / "set", [wrong], RATE, HOP, ABOUT)
    with pytest.raises(InputError, match="3 phones but 1 durations"):
        replace(spoken("7").clip, durations=(40,))


@pytest.mark.parametrize("damage", ["cut", "flip", "index", "kind", "missing"])
def test_damage_is_noticed_when_a_set_is_opened(tmp_path: Path, damage: str):
    folder = tmp_path / "set"
    written(folder, [spoken("1"), spoken("2")])
    audio, index = folder / AUDIO, folder / "index.json"
    data = bytearray(audio.read_bytes())
    if damage == "cut":
        audio.write_bytes(data[:-2])
    elif damage == "flip":
        data[5000] ^= 1
        audio.write_bytes(data)
    elif damage == "index":
        index.write_text(index.read_text("utf-8").replace('"samples": 6400', '"samples": 6399', 1), "utf-8")
    elif damage == "kind":
        index.write_text(json.dumps({"format": 1, "kind": "audio"}), "utf-8")
    else:
        audio.unlink()
    with pytest.raises(InputError) as caught:
        SpeechSet.load(folder)
    assert "\n" not in str(caught.value)


def test_nothing_usable_leaves_nothing_behind(tmp_path: Path):
    with pytest.raises(InputError, match="no usable speech"):
        write_speech(tmp_path / "set", [], RATE, HOP, ABOUT)
    assert list(tmp_path.iterdir()) == []


def test_the_same_words_are_in_one_part_whoever_says_them():
    texts = [f"Sentence number {n}." for n in range(400)]
    clips = [
        Clip(f"{voice}{n}", text.upper() if voice == "b" else text, "en", voice, ("sil",), None, HOP, "", n * HOP)
        for voice in "ab"
        for n, text in enumerate(texts)
    ]
    made = SpeechSet("x", clips, np.zeros(400 * HOP, np.int16), np.zeros(400, np.float32))
    held = {same_words(clips[index].text) for index in made.split("held-out")}
    train = {same_words(clips[index].text) for index in made.split("train")}
    assert not held & train and 0.06 < len(held) / 400 < 0.14
    assert sorted([*made.split("train"), *made.split("held-out")]) == list(range(800))


def test_the_part_of_a_sentence_does_not_depend_on_the_others():
    whole = tone_speech(60)
    for index in whole.split("held-out"):
        assert split_of_text(whole.clips[index].text) == "held-out"


def test_a_set_of_two_sentences_holds_one_out_and_one_of_one_trains():
    assert [len(tone_speech(n).split("train")) for n in (1, 2)] == [1, 1]
    assert len(tone_speech(1).split("held-out")) == 0


def test_words_count_as_the_same_without_case_and_marks_but_not_without_vowel_signs():
    assert same_words("Go, NOW!") == same_words("go now")
    assert same_words("कि") != same_words("का")


def test_phones_have_the_ids_of_all_sets_and_letters_those_of_their_own():
    assert phone_table([("sil", "AA1"), ("k",)]) == PHONES
    assert phone_table([("sil", "ñ", "o", ".")]) == ("_", "sil", ",", ".", "?", "!", "o", "ñ")
