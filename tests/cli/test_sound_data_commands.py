"""`text2x data prepare sounds`, `music` and `audio-folder`: what is made, said and refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from painter import Run, files_in

from text2x.audio import Audio
from text2x.data.audioset import AudioSet


def test_a_folder_of_sounds_is_prepared_and_listed_and_what_is_unusable_is_said(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for number, name in enumerate(("door-slams", "cat-meows")):
        Audio(0.2 * np.sin(np.arange(8000) / (20 + 30 * number)), 16_000).save(tmp_path / "mine" / f"{name}.wav")
    (tmp_path / "mine" / "bad.mp3").write_bytes(b"no sound")
    code, printed, errors = run("data", "prepare", "audio-folder", "mine", "--name", "noises", "--rate", 24_000)
    assert code == 0
    folder = tmp_path / ".cache" / "noises"
    assert printed.splitlines()[:2] == [str(folder), "clips by licence: not stated 2"]
    assert "0.0 minutes in 2 clips, 1 held out, 2 captions, 0 labels, 1 left out, in " in printed
    assert "left out bad.mp3: " in errors
    assert AudioSet.load(folder).rate == 24_000
    _, printed, _ = run("data")
    assert "your own sounds" in printed and "text2x data prepare sounds" in printed and "prepare music" in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["audio-folder"], "say where the sounds are: text2x data prepare audio-folder DIR"),
        (["audio-folder", "absent"], "absent is no folder"),
        (["audio-folder", "empty"], "no usable sound in empty"),
        (["audio-folder", "empty", "--rate", "100"], "100 Hz is out of range"),
        (["audio-folder", "empty", "--items", "4"], "--items means nothing for audio-folder"),
        (["sounds", "--style", "scrach"], "scratch"),
        (["sounds", "--seed", "1"], "--seed means nothing for sounds"),
        (["sounds", "--packages", "empty"], "empty holds no sonic-pi-samples"),
        (["music", "--items", "0"], "0 pieces of 8 s with seed 0 are out of range"),
        (["music", "--seconds", "900"], "600 pieces of 900 s"),
        (["music", "--style", "piano"], "SoundFont"),
        (["music", "--rate", "8000"], "--rate means nothing for music"),
    ],
)
def test_sounds_that_cannot_be_prepared_are_one_line(run: Run, tmp_path: Path, arguments: list[str], said: str) -> None:
    (tmp_path / "empty").mkdir()
    code, printed, errors = run("data", "prepare", *arguments)
    assert (code, printed) == (2, "")
    assert said in errors and errors.count("\n") == 1
    assert not (tmp_path / ".cache").exists() or not files_in(tmp_path / ".cache")
