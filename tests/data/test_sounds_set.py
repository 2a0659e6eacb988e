"""The set of named sounds, made of a package in the form of the real ones."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from text2x.audio import Audio
from text2x.data import sounds
from text2x.data.audioset import AudioSet, Clip, open_sounds
from text2x.data.debian import MAGIC, DebianPackage
from text2x.data.sound_clips import Found, fingerprint, gathered, grouped, tidied
from text2x.data.sounds import SOURCES, prepare_sounds
from text2x.errors import InputError

COPYRIGHT = """Format: dep5

Files: Media/*
Copyright: 2011 MIT
License: CC-BY-SA-3.0

Files: Media/Sounds/Animal/Cat.wav
Copyright: Ada
License: CC0
"""
PLACE = "usr/share/scratch/Media/Sounds"


def tone(hertz: float, seconds: float = 0.3, rate: int = 16_000, level: float = 0.5) -> Audio:
    times = np.arange(round(seconds * rate)) / rate
    return Audio((level * np.sin(2 * np.pi * hertz * times) * np.exp(-4 * times))[None].astype(np.float32), rate)


def deb(folder: Path, package: DebianPackage, files: dict[str, bytes]) -> DebianPackage:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for member, content in files.items():
            info = tarfile.TarInfo(f"./{member}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    body = data.getvalue()
    content = MAGIC + f"{'data.tar.gz':<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(body):<10}`\n".encode() + body
    (folder / package.file_name).write_bytes(content)
    return replace(package, sha256=hashlib.sha256(content).hexdigest())


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small package of sounds in place of Scratch's."""
    rng = np.random.default_rng(0)
    files = {
        "Animal/Dog1.wav": tone(300).encode("wav"),
        "Animal/Dog2.wav": tone(400, 0.5).encode("wav"),
        "Animal/Cat.wav": tone(900, 0.4, 44_100).encode("wav"),
        "Effects/Bubbles.wav": Audio(0.3 * rng.normal(size=(2, 11 * 8000)).astype(np.float32), 8000).encode("wav"),
        "Animal/Horse.wav": Audio(np.zeros((1, 4000), np.float32), 16_000).encode("wav"),
        "Animal/Owl.wav": b"RIFFnothing",
        "Animal/Kitten.wav": tone(900, 0.4, 44_100).encode("wav"),
        "Nothing/known.wav": tone(500).encode("wav"),
        "Animal/readme.txt": b"text",
    }
    held = {f"{PLACE}/{name}": content for name, content in files.items()}
    held["usr/share/doc/scratch/copyright"] = COPYRIGHT.encode()
    source = SOURCES["scratch"]
    monkeypatch.setitem(sounds.SOURCES, "scratch", replace(source, package=deb(tmp_path, source.package, held)))
    return tmp_path


def test_sounds_of_a_package_become_clips_with_captions_labels_and_licences(packages: Path):
    report = prepare_sounds(packages / "set", packages / "cache", ["scratch"], packages)
    made = open_sounds(packages / "set")
    told = {clip.key: (clip.text, clip.label, clip.licence) for clip in made.clips}
    assert told == {
        "scratch/Animal/Cat": ("a cat meows", "cat", "CC0"),
        "scratch/Animal/Dog1": ("a dog barks", "dog", "CC-BY-SA-3.0"),
        "scratch/Animal/Dog2": ("a dog barks", "dog", "CC-BY-SA-3.0"),
        "scratch/Effects/Bubbles": ("bubbles in water", "water", "CC-BY-SA-3.0"),
    }
    assert made.rate == 16_000 and report.clips == 4 and report.licences == {"CC-BY-SA-3.0": 3, "CC0": 1}
    assert made.clips[0].captions == ("meowing cat", "cat") and "Ada" in made.clips[0].about
    assert max(abs(made.samples(0)).max() for _ in range(1)) == pytest.approx(10 ** (-1 / 20), abs=0.01)


def test_what_is_silent_broken_doubled_cut_or_without_a_caption_is_told(packages: Path):
    report = prepare_sounds(packages / "set", packages / "cache", ["scratch"], packages)
    assert [line.partition(":")[0] for line in report.unreadable] == ["scratch/Animal/Horse", "scratch/Animal/Owl"]
    assert "silent" in report.unreadable[0] and str(packages) not in report.unreadable[1]
    warnings = " ".join(report.warnings)
    assert "1 sounds are longer than 10 s" in warnings and "scratch/Effects/Bubbles" in warnings
    assert "1 sounds are the same as another" in warnings and "scratch/Animal/Kitten" in warnings
    assert "1 sounds have no caption" in warnings and "scratch/Nothing/known" in warnings


def test_clips_of_one_group_are_in_one_split(packages: Path):
    prepare_sounds(packages / "set", packages / "cache", ["scratch"], packages)
    made = AudioSet.load(packages / "set")
    train, held = ({made.clips[index].group for index in made.split(name)} for name in ("train", "held-out"))
    assert not train & held and train and held


def test_an_unknown_source_is_named_with_those_that_there_are(tmp_path: Path):
    with pytest.raises(InputError, match="scratch"):
        prepare_sounds(tmp_path / "set", tmp_path, ["scrach"])


def test_every_source_is_pinned():
    for source in SOURCES.values():
        assert len(source.package.sha256) == 64 and source.package.version and source.place.endswith("/")


def test_sounds_that_sound_the_same_share_a_group_whatever_they_are_called():
    low, high = tone(200, 0.5), tone(3000, 0.5)
    quieter = Audio(low.samples * np.float32(0.5), 16_000)
    clips = [(Clip(name, 0, 1, name), sound) for name, sound in (("a", low), ("b", high), ("c", quieter))]
    groups = [clip.group for clip, _ in grouped(clips, 16_000)]
    assert groups == ["a", "b", "a"]
    assert np.dot(fingerprint(low, 16_000), fingerprint(low, 16_000)) == pytest.approx(1)


def test_a_sound_is_trimmed_brought_to_a_peak_and_cut():
    silence = np.zeros((1, 8000), np.float32)
    sound, cut = tidied(Audio(np.concatenate([silence, tone(440, 1.0).samples, silence], axis=1), 16_000))
    assert not cut and 0.9 < sound.seconds < 1.1 and sound.peak() == pytest.approx(-1, abs=0.01)
    long, cut = tidied(Audio(np.full((1, 12 * 16_000), 0.1, np.float32), 16_000))
    assert cut and long.seconds == 10 and abs(long.samples[0, -1]) < 1e-3


def test_channels_that_take_each_other_away_are_still_heard():
    one = tone(440).samples
    sound, _ = tidied(Audio(np.concatenate([one, -one]), 16_000))
    assert sound.channels == 1 and sound.peak() > -2


@pytest.mark.parametrize(("seconds", "level", "said"), [(0.005, 0.5, "too short"), (1.0, 0.0, "silent")])
def test_a_sound_that_cannot_be_used_says_why(seconds: float, level: float, said: str):
    with pytest.raises(InputError, match=said):
        tidied(tone(440, seconds, level=level))


def test_the_captions_of_equal_sounds_are_joined_unless_they_are_told_to_be_other_things():
    def found(key: str, text: str, label: str) -> Found:
        return Found(Clip(key, 0, 1, key, text, label=label), lambda: tone(440))

    kept, _, _ = gathered([found("a", "lava", "fire"), found("b", "flame", "fire"), found("c", "sea", "water")], 16_000)
    assert [(clip.key, clip.text, clip.captions) for clip, _ in kept] == [("a", "lava", ("flame",))]
