"""Composed pieces, their MIDI files, and, where FluidSynth is installed, what they sound like."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from text2x.audio import Audio
from text2x.chroma import ChromaConfig, chroma, score_chroma
from text2x.data import music, rendering
from text2x.data.audioset import AudioSet
from text2x.data.composing import INSTRUMENTS, MOODS, captions_of, compose, instruments_of, tempo_word
from text2x.data.music import prepare_music, read_scores
from text2x.data.scores import DRUMS, SCALES, TICKS, Note, Score, from_line, midi_bytes, to_line
from text2x.errors import InputError

pytestmark = pytest.mark.medium


def test_a_piece_depends_on_its_seed_and_number_alone():
    assert compose(3, 7, 8.0) == compose(3, 7, 8.0)
    assert compose(3, 7, 8.0).notes != compose(3, 8, 8.0).notes != compose(4, 8, 8.0).notes


def test_notes_lie_in_the_piece_in_the_key_and_in_the_range_of_their_instrument():
    for index in range(80):
        score = compose(0, index, 6.0)
        scale = {(score.tonic + step) % 12 for step in SCALES[score.mode]}
        scale |= {(score.tonic + 11) % 12} if score.mode == "minor" else set()  # the leading note
        assert {note.pitch % 12 for note in score.pitched()} <= scale
        assert all(0 <= note.onset < 6 and note.onset + note.duration <= 6.001 for note in score.notes)
        assert all(1 <= note.velocity <= 127 and note.duration > 0 for note in score.notes)
        _, low, high, _ = INSTRUMENTS[score.programs[0]]
        assert score.texture == "chords" or all(low <= note.pitch <= high for note in score.part(0))
        mood = MOODS[score.mood]
        assert mood.tempo[0] <= score.tempo <= mood.tempo[1] and score.mode in mood.modes


def test_onsets_lie_on_the_beat_or_half_of_it():
    score = compose(0, 3, 8.0)
    halves = np.array([note.onset for note in score.notes]) * score.tempo / 60 * 2
    assert np.abs(halves - np.rint(halves)).max() < 1e-9


def test_all_keys_tempi_metres_moods_and_textures_occur():
    scores = [compose(0, index, 4.0) for index in range(400)]
    assert {score.tonic for score in scores} == set(range(12)) and {score.mode for score in scores} == set(SCALES)
    assert {score.beats for score in scores} == {3, 4} and {score.mood for score in scores} == set(MOODS)
    assert len({score.texture for score in scores}) == 4 and any(score.part(DRUMS) for score in scores)
    assert len({captions_of(score)[0] for score in scores}) > 390


def test_captions_tell_mood_instrument_key_and_tempo():
    score = compose(0, 0, 8.0)
    captions = captions_of(score)
    for word in (score.mood, instruments_of(score)[0], score.key_name, f"{score.tempo:.0f} bpm"):
        assert word in captions[0]
    assert any(tempo_word(score.tempo) in caption for caption in captions[1:])
    assert (tempo_word(70), tempo_word(100), tempo_word(140)) == ("slow", "moderate", "fast")


def test_a_score_comes_back_from_its_line():
    score = compose(1, 2, 8.0)
    again = from_line(to_line(score))
    assert (again.key_name, again.tempo, again.programs) == (score.key_name, score.tempo, score.programs)
    assert [note.pitch for note in again.notes] == [note.pitch for note in score.notes]
    assert np.allclose([note.onset for note in again.notes], [note.onset for note in score.notes], atol=1e-4)
    with pytest.raises(InputError, match="is no score"):
        from_line('{"key": 1}')


# MIDI


def events(data: bytes) -> Iterator[tuple[float, bytes]]:
    """Seconds and message of each event of a file of format 0 without running status."""
    assert data[:14] == b"MThd" + struct.pack(">IHH", 6, 0, 1) + data[12:14] and data[14:18] == b"MTrk"
    quarter = struct.unpack(">H", data[12:14])[0]
    track, place, tick, tempo = data[22:], 0, 0, 500_000
    assert len(track) == struct.unpack(">I", data[18:22])[0]
    while place < len(track):
        delta = 0
        while True:
            byte = track[place]
            place += 1
            delta = delta << 7 | byte & 127
            if byte < 128:
                break
        tick += delta
        kind = track[place]
        length = track[place + 2] + 3 if kind == 0xFF else 2 if kind & 0xF0 == 0xC0 else 3
        message = track[place : place + length]
        place += length
        if message[:2] == b"\xff\x51":
            tempo = int.from_bytes(message[3:6], "big")
        yield tick * tempo / quarter / 1e6, message


def test_a_midi_file_has_every_note_at_its_time_and_ends_each():
    notes = (Note(0.0, 60, 0.5, 90), Note(0.5, 64, 1.0, 80), Note(0.5, 36, 0.2, 100, DRUMS))
    score = Score("one", 0, "major", 90.0, 4, "calm", "melody", {0: 11}, notes, 2.0)
    found = list(events(midi_bytes([(0.0, score)], 2.0)))
    begun = [(round(at, 2), message[1], message[0] & 15) for at, message in found if message[0] & 0xF0 == 0x90]
    ended = [(round(at, 2), message[1]) for at, message in found if message[0] & 0xF0 == 0x80]
    assert sorted(begun) == [(0.0, 60, 0), (0.5, 36, 9), (0.5, 64, 0)]
    assert sorted(ended) == [(0.5, 60), (0.7, 36), (1.5, 64)]
    assert [message for _, message in found if message[0] == 0xC0] == [bytes([0xC0, 11])]
    assert found[-1][1] == b"\xff\x2f\x00" and found[-1][0] == pytest.approx(2.0, abs=2 / TICKS)


def test_several_scores_begin_at_their_seconds():
    pair = [compose(0, index, 4.0) for index in range(2)]
    found = list(events(midi_bytes([(0.0, pair[0]), (6.0, pair[1])], 12.0)))
    begun = np.array([at for at, message in found if message[0] & 0xF0 == 0x90])
    assert begun[begun < 5].max() < 4 and begun[begun > 5].min() == pytest.approx(6 + pair[1].notes[0].onset, abs=2e-3)
    assert len(begun) == sum(len(score.notes) for score in pair)


# Sets


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"items": 0}, "0 pieces of 8 s"),
        ({"seconds": 0.1}, "600 pieces of 0.1 s"),
        ({"seed": -1}, "seed -1"),
        ({"styles": ("piano",)}, "piano"),
        ({"styles": ("fluid", "timgm")}, "2 SoundFonts for one set"),
    ],
)
def test_what_cannot_be_made_is_said_before_anything_is_fetched(options: dict, said: str, tmp_path: Path):
    with pytest.raises(InputError, match=said):
        prepare_music(tmp_path / "set", tmp_path, **options)


def test_without_fluidsynth_the_command_that_brings_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="apt-get install fluidsynth"):
        prepare_music(tmp_path / "set", tmp_path, items=1)


def organ(scores: list[Score], _font: Path, rate: int) -> Iterator[Audio]:
    """Sines in place of FluidSynth."""
    for score in scores:
        samples = np.zeros(round(score.seconds * rate))
        for note in score.pitched():
            first, count = round(note.onset * rate), round(note.duration * rate)
            part = samples[first : first + count]
            times = np.arange(len(part)) / rate
            part += 0.1 * np.sin(2 * np.pi * 440 * 2 ** ((note.pitch - 69) / 12) * times) * np.exp(-3 * times)
        yield Audio(samples[None], rate)


def test_a_set_keeps_the_scores_of_its_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(music, "render", organ)
    monkeypatch.setattr(music, "program", lambda: "organ")
    monkeypatch.setattr(music, "soundfont", lambda *_: tmp_path)
    report = prepare_music(tmp_path / "set", tmp_path, items=12, seconds=4.0, seed=5)
    made, scores = AudioSet.load(tmp_path / "set"), read_scores(tmp_path / "set")
    assert report.clips == len(made) == len(scores) == 12 and report.licences == {"MIT": 12}
    assert all(made.lengths == 64_000) and set(scores) == {clip.key for clip in made.clips}
    clip, score = made.clips[4], scores[made.clips[4].key]
    assert (clip.text, *clip.captions) == captions_of(score) and clip.label == instruments_of(score)[0]
    assert len(made.split("train")) + len(made.split("held-out")) == 12
    with pytest.raises(InputError, match="holds no scores"):
        read_scores(tmp_path)


def test_a_set_without_a_soundfont_in_the_folder_of_packages_says_so(tmp_path: Path):
    with pytest.raises(InputError, match=r"holds no timgm6mb-soundfont_1.3-5_all.deb"):
        rendering.soundfont("timgm", tmp_path / "cache", tmp_path)


FONTS = [path for path in Path("/usr/share/sounds/sf2").glob("*.sf2")] if shutil.which("fluidsynth") else []


@pytest.mark.skipif(not FONTS, reason="FluidSynth and a SoundFont are not installed")
def test_fluidsynth_plays_the_notes_of_the_score_when_they_are_due():
    score = Score("one", 0, "major", 120.0, 4, "calm", "melody", {0: 0}, (Note(0.5, 69, 0.8, 100),), 2.0)
    first, second = rendering.render([score, score], FONTS[0], 16_000)
    assert first.seconds == second.seconds == 2.0
    levels = np.abs(first.samples[0]).reshape(-1, 160).max(1)
    assert 0.45 <= np.argmax(levels > 0.1 * levels.max()) / 100 <= 0.55
    config = ChromaConfig()
    heard = chroma(torch.tensor(first.samples[0]), config)
    assert float((heard * score_chroma([(0.5, 1.3, 69)], 2.0, config)).sum()) >= 4
    assert np.corrcoef(first.samples[0], second.samples[0])[0, 1] > 0.99
