from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from text2x.audio import Audio
from text2x.data.recordings import LeftOut
from text2x.data.speech_folder import Line, find_lines, hop_of, prepare_speech_folder
from text2x.data.speechset import SpeechSet
from text2x.errors import InputError

RATE = 16_000


def save(folder: Path, *names: str, rate: int = RATE, seconds: float = 0.8) -> None:
    t = np.arange(round(seconds * rate)) / rate
    for place, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Audio(0.2 * np.sin(2 * np.pi * (120 + 20 * place) * t), rate).save(path)


def lines(folder: Path) -> tuple[list[Line], dict[str, str]]:
    left_out = LeftOut()
    return find_lines(folder, left_out), dict(left_out.reasons)


def test_texts_lie_beside_the_sounds(tmp_path: Path):
    save(tmp_path, "a.wav", "deep/b.flac", "c.wav")
    (tmp_path / "a.txt").write_text("\ufeffनमस्ते,\n दुनिया।\n", "utf-8")
    (tmp_path / "deep" / "b.txt").write_text(" \n", "utf-8")
    found, reasons = lines(tmp_path)
    assert found == [Line("a.wav", "नमस्ते, दुनिया।")]
    assert reasons == {"deep/b.flac": "its text is empty", "c.wav": "no text for it"}


def test_ljspeech_gives_the_text_in_words_by_the_name_alone(tmp_path: Path):
    save(tmp_path, "wavs/LJ001-0001.wav", "wavs/LJ001-0002.wav")
    rows = ["LJ001-0001|It cost 5 pounds.|It cost five pounds.", "LJ001-0002|Only one text.|", "LJ009-0001|Gone.|Gone."]
    (tmp_path / "metadata.csv").write_text("\n".join(rows), "utf-8")
    found, reasons = lines(tmp_path)
    assert [line.text for line in found] == ["It cost five pounds.", "Only one text."]
    assert reasons == {"LJ009-0001": "named in a table, but not there"}


def test_a_third_column_of_single_words_that_repeat_names_speakers(tmp_path: Path):
    save(tmp_path, "wav/x1.wav", "wav/x2.wav", "wav/x3.wav", "wav/x4.wav")
    rows = [f"x{n}|वाक्य संख्या।|{'male' if n % 2 else 'female'}" for n in range(1, 5)]
    (tmp_path / "metadata_train.csv").write_text("\n".join(rows), "utf-8")
    found, _ = lines(tmp_path)
    assert [line.speaker for line in found] == ["male", "female", "male", "female"]
    assert {line.text for line in found} == {"वाक्य संख्या।"}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_table_with_names_has_speakers_and_languages(tmp_path: Path, delimiter: str):
    save(tmp_path, "a.wav", "b.wav")
    rows = [
        ["path", "sentence", "speaker", "language"],
        ["a.wav", "नमस्ते।", "asha", "hi"],
        ["./b.wav", "hello.", "", ""],
    ]
    (tmp_path / "table.csv").write_text("\n".join(delimiter.join(row) for row in rows), "utf-8")
    found, reasons = lines(tmp_path)
    assert found == [Line("a.wav", "नमस्ते।", "asha", "hi"), Line("b.wav", "hello.")] and not reasons


def test_json_lines_are_read_and_broken_ones_named(tmp_path: Path):
    save(tmp_path, "a.wav")
    (tmp_path / "t.jsonl").write_text(json.dumps({"audio": "a.wav", "text": "one"}) + "\n{broken\n", "utf-8")
    found, reasons = lines(tmp_path)
    assert found == [Line("a.wav", "one")] and reasons == {"t.jsonl line 2": "no file and text in it"}


def test_a_table_reaches_no_file_outside_the_folder(tmp_path: Path):
    save(tmp_path, "mine/a.wav", "other.wav")
    (tmp_path / "mine" / "t.csv").write_text("file,text\n../other.wav,secret\n/etc/passwd,secret\n", "utf-8")
    found, reasons = lines(tmp_path / "mine")
    assert not found
    assert reasons["../other.wav"] == reasons["/etc/passwd"] == "named in a table, but not there"


def test_a_table_that_says_nothing_known_is_refused_with_the_way_out(tmp_path: Path):
    save(tmp_path, "a.wav")
    (tmp_path / "t.csv").write_text("foo,bar\n1,2\n", "utf-8")
    with pytest.raises(InputError, match=r"its first line must be: file,text"):
        lines(tmp_path)
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not readable as UTF-8"):
        lines(tmp_path)


def test_a_set_is_made_and_what_is_unusable_is_counted_by_kind(tmp_path: Path):
    source = tmp_path / "mine"
    save(source, "a.wav", "b.wav")
    save(source, "low.wav", rate=8000)
    save(source, "long.wav", seconds=16)
    save(source, "short.wav", seconds=0.1)
    (source / "broken.flac").write_bytes(b"fLaC" + b"\0" * 100)
    (source / "empty.wav").write_bytes(b"")
    for path in source.iterdir():
        path.with_suffix(".txt").write_text("नमस्ते, दुनिया।", "utf-8")
    (source / "a.txt").write_text("फिर मिलेंगे।", "utf-8")
    report = prepare_speech_folder(source, tmp_path / "set", ("hi",), speaker="asha")
    assert (report.clips, report.aligned, report.speakers, report.languages) == (3, 0, ("asha",), ("hi",))
    kinds = sorted(line.partition(" (")[0] for line in report.warnings if "left out" in line)
    assert kinds == ["1 left out: too long", "1 left out: too short", "2 left out: not readable"]
    assert any(line.startswith("1 recordings of 8000 Hz were brought up to 16000 Hz") for line in report.warnings)
    assert any("timing must be learned" in line for line in report.warnings)
    made = SpeechSet.load(tmp_path / "set")
    assert made.rate == RATE and {clip.key for clip in made.clips} == {"a.wav", "b.wav", "low.wav"}
    assert made.clips[0].licence == "not stated" and not made.aligned
    assert made.pitch_of(0).max() == pytest.approx(120, rel=0.02)


def test_another_rate_has_its_own_frames(tmp_path: Path):
    save(tmp_path / "mine", "a.wav", rate=44_100)
    (tmp_path / "mine" / "a.txt").write_text("नमस्ते।", "utf-8")
    prepare_speech_folder(tmp_path / "mine", tmp_path / "set", ("hi-IN",), 22_050)
    made = SpeechSet.load(tmp_path / "set")
    assert (made.rate, made.hop, made.languages) == (22_050, 256, ("hi",))
    assert [hop_of(rate) for rate in (8000, 16_000, 24_000, 44_100)] == [80, 160, 240, 441]
    with pytest.raises(InputError, match="11025 Hz is not offered"):
        hop_of(11_025)


def test_a_language_without_phones_keeps_its_letters(tmp_path: Path):
    save(tmp_path / "mine", "a.wav")
    (tmp_path / "mine" / "a.txt").write_text("Guten Tag.", "utf-8")
    report = prepare_speech_folder(tmp_path / "mine", tmp_path / "set", ("de",))
    assert report.warnings == ("no phones are known for 'de': its letters are used, and their timing must be learned",)
    assert SpeechSet.load(tmp_path / "set").phones[6:] == ("a", "e", "g", "n", "t", "u")


@pytest.mark.parametrize("files", [{}, {"a.txt": "no sound"}, {"a.wav": ""}, {"a.wav": "", "a.txt": "text"}])
def test_nothing_usable_is_one_line_and_leaves_nothing(tmp_path: Path, files: dict[str, str]):
    source = tmp_path / "mine"
    source.mkdir()
    for name, text in files.items():
        (source / name).write_text(text, "utf-8")
    with pytest.raises(InputError, match="no usable recording in") as caught:
        prepare_speech_folder(source, tmp_path / "set", ("hi",))
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_what_is_no_folder_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="is no folder"):
        prepare_speech_folder(tmp_path / "absent", tmp_path / "set")
