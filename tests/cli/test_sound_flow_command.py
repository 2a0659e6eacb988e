"""`text2x sound` with a model of diffusion: loops, variations and repainted parts, and what is told of them."""

import json
from pathlib import Path

import numpy as np
import pytest
from painter import Run

from text2x.audio import Audio
from text2x.audio_files import read_metadata
from tiny_sound_flow import write_sound_flow
from tiny_sounds import tone

pytestmark = pytest.mark.medium


@pytest.fixture
def hear(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command with a model of diffusion called noise, which is the only one there is."""
    monkeypatch.setattr("text2x.library.shipped_folder", lambda: tmp_path / ".nothing")
    write_sound_flow(tmp_path / ".models" / "noise")
    tone(0.2).save(tmp_path / "known.wav", bits=32)
    return run


def test_a_part_of_a_file_is_made_anew_and_the_result_says_how(hear: Run, tmp_path: Path) -> None:
    asked = ("sound", "rain", "--init", "known.wav", "--repaint", "0.05-0.1", "--seed", 1, "--steps", 2, "--json")
    code, printed, errors = hear(*asked, "-o", "new.flac")
    assert (code, errors) == (0, "")
    told = json.loads(printed)["settings"]
    assert (told["repaint"], told["init"], told["steps"], told["strength"]) == ("0.05-0.1", "known.wav", 2, 1.0)
    made, known = (Audio.read(tmp_path / name).to_int16() for name in ("new.flac", "known.wav"))
    keep = (np.arange(1600) < 400) | (np.arange(1600) >= 800)
    assert np.array_equal(made[:, keep], known[:, keep]) and not np.array_equal(made, known)
    assert read_metadata(tmp_path / "new.flac")["repaint"] == "0.05-0.1"


def test_a_loop_of_other_samplers_and_guidance_is_the_same_again(hear: Run, tmp_path: Path) -> None:
    asked = ("sound", "rain", "--loop", "--seconds", 0.1, "--sampler", "euler", "--guidance", "apg:3", "--seed", 4)
    for name in ("a.wav", "b.wav"):
        code, _, errors = hear(*asked, "-o", name)
        assert (code, errors) == (0, "")
    one, other = (Audio.read(tmp_path / name).samples for name in ("a.wav", "b.wav"))
    assert np.array_equal(one, other) and abs(one[0, 0] - one[0, -1]) <= np.abs(np.diff(one)).max()


def test_a_stream_is_refused_and_so_is_a_part_beyond_the_file(hear: Run) -> None:
    code, _, errors = hear("sound", "rain", "--stream", "-o", "a.wav")
    assert code != 0 and "noise makes sound as a whole; leave --stream out" in errors
    code, _, errors = hear("sound", "rain", "--init", "known.wav", "--repaint", "3-4")
    assert code != 0 and "repaint is 3-4 and the sound lasts 0.20 s" in errors
