"""`text2x data prepare speech-folder`, and the options of sets of speech."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from painter import Run

from text2x.audio import Audio


def test_a_folder_of_recordings_is_prepared_and_listed_and_what_is_unusable_is_said(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("a", "b"):
        Audio(0.2 * np.sin(np.arange(16_000) / 20), 16_000).save(folder / f"{name}.wav")
        (folder / f"{name}.txt").write_text("नमस्ते।", "utf-8")
    (folder / "c.wav").write_bytes(b"RIFF")
    (folder / "c.txt").write_text("नमस्ते।", "utf-8")
    code, printed, errors = run("data", "prepare", "speech-folder", folder, "--name", "voice", "--language", "hi")
    assert code == 0
    assert printed.splitlines()[0].endswith("voice")
    assert "0.0 minutes in 2 clips of hi by 1 speaker, 0 with timed phones, 1 left out, in " in printed
    assert "1 left out: not readable (c.wav)" in errors and "phones of 'hi' are not timed" in errors
    code, printed, _ = run("data")
    assert code == 0 and "your own recordings" in printed and "asterisk" in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["speech-folder"], "say where the recordings are"),
        (["speech-folder", "absent"], "absent is no folder"),
        (["speech-folder", ".", "--language", "hi", "--language", "te"], "2 languages for one folder"),
        (["speech-folder", ".", "--rate", "11025"], "11025 Hz is not offered"),
        (["asterisk", "--language", "xx"], "no prompts in 'xx'"),
        (["indic", "--count", "0"], "0 sentences are out of range"),
        (["indic", "--language", "en"], "no teacher for 'en'"),
        (["asterisk", "--size", "64"], "--size means nothing for asterisk"),
        (["emoji", "--language", "hi"], "--language means nothing for emoji"),
    ],
)
def test_what_cannot_be_prepared_is_one_line(run: Run, arguments: list[str], said: str) -> None:
    code, printed, errors = run("data", "prepare", *arguments)
    assert (code, printed) == (2, "") and said in errors and len(errors.splitlines()) == 1
