"""`text2x sound` and `text2x music`: where sound goes, what files, streams and JSON say; the models make noise."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from painter import Run, files_in

import text2x
from text2x.audio import Audio
from text2x.audio_files import read_metadata
from text2x.sound_requests import MusicRequest, SoundRequest
from tiny_sounds import tone, write_sounds

pytestmark = pytest.mark.medium

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def hear(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command with models called noise and tunes, which are the only ones there are."""
    monkeypatch.setattr("text2x.library.shipped_folder", lambda: tmp_path / ".nothing")
    write_sounds(tmp_path / ".models" / "noise")
    write_sounds(tmp_path / ".models" / "tunes", "music")
    return run


def test_a_sound_is_called_after_its_prompt_and_its_place_seed_and_time_are_printed(hear: Run, tmp_path: Path) -> None:
    code, printed, errors = hear("sound", "a door slams", "--seed", 5)
    assert (code, errors) == (0, "")
    assert files_in(tmp_path) == ["out/a-door-slams.wav"]
    first, second = printed.splitlines()
    assert first == "out/a-door-slams.wav  seed 5"
    assert second.startswith("0.20 s of sound by noise in ")


def test_several_have_seeds_of_their_own_and_each_is_made_again_by_its_seed(hear: Run, tmp_path: Path) -> None:
    code, printed, _ = hear("sound", "rain", "-n", 2, "--seed", 5, "--json")
    told = json.loads(printed)
    assert code == 0 and told["files"] == ["out/rain-1.wav", "out/rain-2.wav"] and told["rate"] == 8000
    hear("sound", "rain", "--seed", 6, "-o", "again.wav")
    assert np.array_equal(Audio.read("again.wav").samples, Audio.read("out/rain-2.wav").samples)
    assert len(files_in(tmp_path)) == 3


def test_a_stream_has_the_samples_of_the_whole(hear: Run) -> None:
    asked = ["sound", "rain", "--seed", 4, "--seconds", 0.7]
    hear(*asked, "-o", "whole.wav")
    hear(*asked, "-o", "stream.wav", "--stream")
    assert Path("whole.wav").read_bytes() == Path("stream.wav").read_bytes()


def test_a_file_says_what_it_was_made_of(hear: Run) -> None:
    tone(0.1).save("hum.wav")
    code, _, errors = hear("music", "calm", "--seed", 4, "--melody", "hum.wav", "--top-k", 3, "-o", "calm.flac")
    assert code == 0, errors
    told = read_metadata("calm.flac")
    assert {key: told[key] for key in ("prompt", "seed", "model", "melody", "top_k")} == {
        "prompt": "calm", "seed": 4, "model": "tunes", "melody": "hum.wav", "top_k": 3,
    }  # fmt: skip
    hear("music", "calm", "--seed", 4, "--no-metadata", "-o", "bare.flac")
    assert not read_metadata("bare.flac")


def test_music_goes_on_from_a_file_whose_samples_it_keeps(hear: Run) -> None:
    tone(0.15).save("begin.wav", bits=32)
    code, _, errors = hear("music", "calm", "--seed", 4, "--continue", "begin.wav", "--seconds", 0.3, "-o", "all.wav")
    assert code == 0, errors
    whole = Audio.read("all.wav")
    assert whole.frames == 2400
    np.testing.assert_allclose(whole.samples[:, :1200], tone(0.15).samples, atol=1 / 32768)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rain", "--seconds", "0"], "seconds is 0.0; it must be a number from 0.1 to 600"),
        (["rain", "--seconds", "36000"], "seconds is 36000.0"),
        (["rain", "--continue", "none.wav"], "none.wav"),
        (["rain", "--repaint", "1-2"], "give it with --init FILE"),
        (["rain", "-n", "2", "--stream"], "count is 2, and --stream takes one sound"),
        (["rain", "--model", "nowhere"], "unknown model 'nowhere'"),
        ([" "], "the prompt is empty"),
        (["rain", "-o", "rain.txt"], "cannot tell the format of rain.txt"),
    ],
)
def test_what_is_asked_wrongly_is_one_line_and_nothing_is_written(
    hear: Run, tmp_path: Path, arguments: list[str], message: str
) -> None:
    code, printed, errors = hear("sound", *arguments)
    assert (code, printed, files_in(tmp_path)) == (2, "", [])
    assert message in errors and errors.count("\n") == 1


def test_melodies_without_pitch_and_fields_of_diffusion(hear: Run) -> None:
    Audio(np.zeros(4000), 8000).save("silent.wav")
    code, _, errors = hear("music", "calm", "--melody", "silent.wav")
    assert code == 2 and "the melody is silent" in errors
    code, _, errors = hear("sound", "rain", "--loop", "--steps", 4)
    assert code == 0 and "steps is given and is ignored: noise is a model of codes" in errors


def test_in_python_a_call_gives_the_sound(hear: Run, tmp_path: Path) -> None:
    made = text2x.sound("rain", model=tmp_path / ".models" / "noise", seed=4)
    assert isinstance(made, Audio) and made.rate == 8000
    again = text2x.load(tmp_path / ".models" / "noise").generate(SoundRequest("rain", seed=4))  # type: ignore[arg-type]
    assert np.array_equal(again[0].media.samples, made.samples)
    assert text2x.music("calm", model=tmp_path / ".models" / "tunes", seconds=0.1).frames == 800


@pytest.mark.parametrize(("kind", "request_class"), [("sound", SoundRequest), ("music", MusicRequest)])
def test_every_field_has_a_flag_and_a_line_in_the_documentation(run: Run, kind: str, request_class: type) -> None:
    page = (ROOT / "docs" / f"{kind}.md").read_text("utf-8")
    if kind == "music":
        page += (ROOT / "docs" / "sound.md").read_text("utf-8")
    for field in dataclasses.fields(request_class):
        for flag in field.metadata["flags"]:
            assert re.search(rf"`[^`\n]*(?<![\w-]){re.escape(flag)}(?![\w-])[^`\n]*`", page), f"docs lack {flag}"
