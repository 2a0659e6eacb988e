"""`text2x evaluate` of models of sound: the command, and what it refuses in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from painter import Run

from text2x.data.audioset import save_audio_set
from tiny_labels import RATE, labelled_sounds
from tiny_sounds import write_sounds

pytestmark = pytest.mark.medium


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_sounds(tmp_path / "hiss")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--data", "nowhere"], "text2x data prepare nowhere"),
        (["--size", "64"], "hiss makes sound, of which --size 64 says nothing"),
        (["--judge", "judges/mine"], "hiss makes sound, of which --judge judges/mine says nothing"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(run: Run, model: Path, arguments: list[str], named: str) -> None:
    code, _, errors = run("evaluate", model, "--device", "cpu", *arguments)
    assert code == 2 and named in errors and len(errors.strip().splitlines()) == 1


@pytest.mark.slow
def test_a_model_of_sounds_is_measured_by_a_classifier_that_is_kept(run: Run, model: Path, tmp_path: Path) -> None:
    clips = labelled_sounds(60)
    parts = ((clip, clips.audio(place)) for place, clip in enumerate(clips.clips))
    save_audio_set(tmp_path / "set", "set", RATE, parts)
    given = ["--data", tmp_path / "set", "--prompts", 2, "--device", "cpu", "-o", "report"]
    code, printed, errors = run("evaluate", model, *given)
    assert code == 0, errors
    assert printed.splitlines()[:3] == ["report/report.md", "report/report.json", "report/sheet.png"]
    assert "4 sounds by hiss on " in printed
    values = json.loads(Path("report/report.json").read_text())
    assert values["figures"]["held-out"]["real"]["class accuracy, top 1"]["value"] == 1
    assert values["command"].startswith("text2x evaluate ") and len(list((tmp_path / "set").glob("judge-*"))) == 1
