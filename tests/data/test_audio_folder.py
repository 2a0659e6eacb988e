"""A user's own sounds as a set: where captions come from, and what is said of files that cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from text2x.audio import Audio
from text2x.data.audio_folder import prepare_audio_folder
from text2x.data.audioset import AudioSet
from text2x.data.token_batches import captions_of
from text2x.errors import InputError


def write(path: Path, hertz: float, rate: int = 22_050) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(rate // 2) / rate
    Audio(0.4 * np.sin(2 * np.pi * hertz * times)[None], rate).save(path)


def test_captions_come_from_tables_then_texts_then_names(tmp_path: Path):
    source = tmp_path / "mine"
    write(source / "dogs" / "dog-barks-2.wav", 300)
    write(source / "bell.flac", 800)
    write(source / "sea.ogg", 1500, 48_000)
    write(source / "horn.mp3", 500, 44_100)
    (source / "bell.txt").write_text("a bell rings\nbell of a church\n", "utf-8")
    (source / "metadata.csv").write_text("file_name,caption\nsea.ogg,waves on a shore\n", "utf-8")
    report = prepare_audio_folder(source, tmp_path / "set")
    made = AudioSet.load(tmp_path / "set")
    told = {clip.key: (clip.text, clip.captions, clip.label) for clip in made.clips}
    assert told == {
        "bell.flac": ("a bell rings", ("bell of a church",), ""),
        "dogs/dog-barks-2.wav": ("dog barks", (), "dogs"),
        "horn.mp3": ("horn", (), ""),
        "sea.ogg": ("waves on a shore", (), ""),
    }
    assert made.rate == 16_000 and report.clips == 4 and not report.unreadable and report.captions == 5
    assert len(captions_of(made, range(4))) == 5
    assert all(0.4 < length / 16_000 < 0.6 for length in made.lengths)


def test_bad_files_are_named_and_stop_nothing(tmp_path: Path):
    source = tmp_path / "mine"
    write(source / "good.wav", 440)
    (source / "cut.wav").write_bytes(b"RIFF\0\0")
    (source / "empty.mp3").write_bytes(b"")
    Audio(np.zeros((1, 8000)), 16_000).save(source / "silent.wav")
    (source / "table.csv").write_text("file,caption\nabsent.wav,nothing\n", "utf-8")
    report = prepare_audio_folder(source, tmp_path / "set", sample_rate=24_000)
    assert report.clips == 1 and AudioSet.load(tmp_path / "set").rate == 24_000
    assert {line.partition(":")[0] for line in report.unreadable} == {
        "absent.wav",
        "cut.wav",
        "empty.mp3",
        "silent.wav",
    }
    assert str(source) not in "".join(report.unreadable)


def test_a_sound_of_a_coding_that_nobody_knows_is_named(tmp_path: Path):
    """A RIFF file of coding 0x674f, as some old sounds of Ogg inside WAVE are."""
    write(tmp_path / "mine" / "good.wav", 440)
    body = b"WAVEfmt \x1a\0\0\0Og\x01\0\x44\xac\0\0\xf8\x2a\0\0\x01\0\x10\0\x08\0\x01\x02\x02 1\x12\x01 "
    body += b"data\x90\x01\0\0" + b"U" * 400
    (tmp_path / "mine" / "old.wav").write_bytes(b"RIFF" + len(body).to_bytes(4, "little") + body)
    report = prepare_audio_folder(tmp_path / "mine", tmp_path / "set")
    assert len(report.unreadable) == 1 and report.unreadable[0].startswith(
        "old.wav: holds no sound that can be decoded"
    )


def test_nothing_usable_and_bad_arguments_say_what_is_needed(tmp_path: Path):
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match=r"no usable sound in .*none; it needs \.wav"):
        prepare_audio_folder(tmp_path / "none", tmp_path / "set")
    with pytest.raises(InputError, match="is no folder"):
        prepare_audio_folder(tmp_path / "absent", tmp_path / "set")
    with pytest.raises(InputError, match="4000 Hz is out of range; take 8000 to 48000"):
        prepare_audio_folder(tmp_path / "none", tmp_path / "set", sample_rate=4000)
