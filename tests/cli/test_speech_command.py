"""`text2x speech`: where sound goes, what text it takes, what files, streams and JSON say; the voice says noise."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from painter import Run, files_in

import text2x
from text2x.audio import Audio
from text2x.audio_files import read_metadata
from text2x.errors import InputError
from tiny_voices import write_voice

pytestmark = pytest.mark.medium


@pytest.fixture(scope="module")
def voice_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_voice(tmp_path_factory.mktemp("voices") / "noise")


@pytest.fixture
def speak(run: Run, tmp_path: Path, voice_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command with a model called noise, which is the only voice there is: none has come with the package."""
    monkeypatch.setattr("text2x.library.shipped_folder", lambda: voice_folder / "nothing")
    shutil.copytree(voice_folder, tmp_path / ".models" / "noise")
    return run


def samples(path: str) -> np.ndarray:
    return Audio.read(path).samples


def test_speech_is_called_after_its_text_and_its_place_seed_and_time_are_printed(speak: Run, tmp_path: Path) -> None:
    code, printed, errors = speak("speech", "Go Left!", "--seed", 5)
    assert (code, errors) == (0, "")
    assert files_in(tmp_path) == ["out/go-left.wav"]
    first, second = printed.splitlines()
    assert first == "out/go-left.wav  seed 5"
    assert second.split(" of speech by noise in ")[0] == f"{Audio.read('out/go-left.wav').seconds:.2f} s"


def test_nothing_is_overwritten_unless_the_file_is_named(speak: Run, tmp_path: Path) -> None:
    for seed in (1, 1, 2):
        speak("speech", "Go", "--seed", seed, "--voice", "low" if seed == 1 else "high")
    assert files_in(tmp_path) == ["out/go-2.wav", "out/go.wav"]
    speak("speech", "Go", "-o", "out/go.wav", "--speed", "2")
    assert Audio.read("out/go.wav").seconds < Audio.read("out/go-2.wav").seconds


def test_a_stream_has_the_samples_of_the_whole(speak: Run) -> None:
    text = ["speech", "Go left. Then stop! Two red lights.", "--seed", 4]
    speak(*text, "-o", "whole.wav")
    speak(*text, "-o", "stream.wav", "--stream")
    assert Path("whole.wav").read_bytes() == Path("stream.wav").read_bytes()
    speak(*text, "-o", "whole.flac")
    assert np.array_equal(samples("whole.flac"), samples("whole.wav"))


@pytest.mark.medium
@pytest.mark.parametrize("format", ["wav", "pcm"])
def test_standard_output_takes_the_sound_while_it_is_made(voice_folder: Path, tmp_path: Path, format: str) -> None:
    command = [sys.executable, "-m", "text2x", "speech", "Go left. Stop.", "--seed", "4", "--model", str(voice_folder)]
    options = {"cwd": tmp_path, "capture_output": True, "timeout": 60, "env": dict(os.environ)}
    streamed = subprocess.run([*command, "--stream", "-o", "-", "--format", format], **options)
    assert streamed.returncode == 0, streamed.stderr.decode()
    subprocess.run([*command, "-o", "whole.wav"], **options)
    whole = Audio.read(tmp_path / "whole.wav").to_int16()[0].tobytes()
    found = streamed.stdout if format == "pcm" else streamed.stdout[-len(whole) :]
    assert found == whole
    assert b"seed 4" in streamed.stderr and b"of speech by noise" in streamed.stderr


@pytest.mark.parametrize("suffix", ["json", "srt", "vtt", "TextGrid"])
def test_the_times_of_words_go_into_a_file(speak: Run, suffix: str) -> None:
    for options, name in (((), "whole"), (("--stream",), "stream")):
        file = f"{name}.{suffix}"
        code, printed, errors = speak("speech", "Go left.", "--seed", 1, "-o", "a.wav", "--timestamps", file, *options)
        assert (code, errors) == (0, "") and file in printed
    assert Path(f"whole.{suffix}").read_text() == Path(f"stream.{suffix}").read_text()
    if suffix == "json":
        words = json.loads(Path("whole.json").read_text())["words"]
        assert [word["word"] for word in words] == ["Go", "left"]


def test_the_text_comes_from_a_file_or_from_standard_input(speak: Run) -> None:
    Path("text.txt").write_text("Go left.\n", encoding="utf-8-sig")
    speak("speech", "Go left.", "--seed", 1, "-o", "a.wav", "--no-metadata")
    speak("speech", "--file", "text.txt", "--seed", 1, "-o", "b.wav", "--no-metadata")
    speak("speech", "-", "--seed", 1, "-o", "c.wav", "--no-metadata", stdin=b"Go left.")
    assert Path("a.wav").read_bytes() == Path("b.wav").read_bytes() == Path("c.wav").read_bytes()


def test_ssml_is_read_as_such(speak: Run) -> None:
    speak("speech", '<speak>Go <break time="400ms"/> left.</speak>', "--ssml", "--seed", 1, "-o", "a.wav")
    speak("speech", "Go left.", "--seed", 1, "-o", "b.wav")
    more = Audio.read("a.wav").seconds - Audio.read("b.wav").seconds
    assert more == pytest.approx(0.4, abs=0.05)


@pytest.mark.parametrize("format", ["wav", "flac", "mp3", "ogg", "opus"])
def test_a_file_says_how_it_was_made(speak: Run, format: str) -> None:
    speak("speech", "Go left.", "--seed", 7, "-o", f"a.{format}", "--speed", 1.5)
    about = read_metadata(f"a.{format}")
    assert (about["prompt"], about["seed"], about["model"], about["speed"]) == ("Go left.", 7, "noise", 1.5)
    assert about["voice"] == "low" and about["version"] == text2x.__version__
    speak("speech", "Go left.", "--seed", 7, "-o", f"b.{format}", "--no-metadata")
    assert "prompt" not in read_metadata(f"b.{format}")


def test_json_is_one_object_with_everything(speak: Run) -> None:
    code, printed, errors = speak("speech", "Go 😀.", "--seed", 3, "--json", "-o", "a.wav", "--timestamps", "a.srt")
    values = json.loads(printed)
    assert (code, errors) == (0, "")
    assert values["files"] == ["a.wav"] and values["seed"] == 3 and values["model"] == "noise"
    assert values["seconds"] == pytest.approx(Audio.read("a.wav").seconds) and values["rate"] == 8000
    assert values["timestamps"] == "a.srt" and len(values["warnings"]) == 1
    assert set(values["timings"]) == {"load", "text", "acoustic", "vocoder", "total"}


def test_python_says_the_same(speak: Run, tmp_path: Path) -> None:
    speak("speech", "Go left.", "--seed", 3, "-o", "a.flac")
    made = text2x.speech("Go left.", model=tmp_path / ".models" / "noise", seed=3)
    assert np.array_equal(made.to_int16(), Audio.read("a.flac").to_int16())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["..."], "only punctuation"),
        ([" "], "the text is empty"),
        ([], "no text; say what is to be said"),
        (["Go", "--file", "x.txt"], "given twice"),
        (["--file", "missing.txt"], "cannot read missing.txt"),
        (["Go", "--speed", "5"], "speed is 5.0; it must be a number from 0.25 to 4"),
        (["Go", "--voice", "hihg"], "unknown voice 'hihg'; did you mean high"),
        (["Go", "-o", "a.doc"], "end the name in .wav, .flac"),
        (["Go", "-o", "a.wav", "--format", "mp3"], "disagree"),
        (["Go", "--timestamps", "a.txt"], ".json, .srt, .vtt or .TextGrid"),
        (["Go", "-o", "-", "--json"], "takes the sound and nothing else"),
        (["Go", "--model", "mine"], "mine is no voice; take --model noise"),
        (["<speak>Go</p></speak>", "--ssml"], "line 1"),
    ],
)
def test_mistakes_are_one_line(speak: Run, tmp_path: Path, arguments: list[str], message: str) -> None:
    code, printed, errors = speak("speech", *arguments)
    assert (code, printed) == (2, "")
    assert errors.startswith("text2x: ") and errors.count("\n") == 1 and message in errors
    assert files_in(tmp_path) == []


def test_a_voice_makes_no_pictures_and_says_what_it_does(tmp_path: Path, voice_folder: Path) -> None:
    generator = text2x.load(voice_folder)
    with pytest.raises(InputError, match="text2x speech"):
        generator.generate(text2x.ImageRequest("a red apple"))
    assert text2x.info(voice_folder).kind == "speech"


def test_every_field_has_a_flag_and_a_line_in_the_documentation(speak: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"COLUMNS": "240", "TERM": "dumb", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    _, shown, _ = speak("speech", "--help")
    page = (Path(__file__).parents[2] / "docs" / "speech.md").read_text("utf-8")
    for field in dataclasses.fields(text2x.SpeechRequest):
        for flag in field.metadata["flags"]:
            assert re.search(rf"`[^`\n]*(?<![\w-]){re.escape(flag)}(?![\w-])[^`\n]*`", page), f"the page lacks {flag}"
            assert re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", shown), f"text2x speech has no {flag}"
