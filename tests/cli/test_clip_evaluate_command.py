"""`text2x evaluate` of a model of clips: a small model through the command, and what it refuses in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from painter import Run

from some_shapes import some_shapes
from tiny_videos import write_videos

pytest.importorskip("cv2")
pytestmark = pytest.mark.medium

FILES = ["report.md", "report.json", "sheet.png", "copies.png"]


def test_clips_are_made_measured_and_reported_with_the_command_that_does_it_again(run: Run, tmp_path: Path) -> None:
    write_videos(tmp_path / "tiny")
    some_shapes(10).save(tmp_path / "some")
    given = ["--data", tmp_path / "some", "--prompts", 1, "--seeds", 1, "--device", "cpu"]
    code, printed, errors = run("evaluate", tmp_path / "tiny", *given, "-o", "report")
    assert code == 0, errors
    assert printed.splitlines()[:4] == [f"report/{name}" for name in FILES]
    assert f"2 clips by tiny on {tmp_path / 'some'} in " in printed and "left out: " in errors
    page = Path("report/report.md").read_text()
    assert f"text2x evaluate {tmp_path / 'tiny'} --data {tmp_path / 'some'} --prompts 1 --seeds 1" in page
    values = json.loads(Path("report/report.json").read_text())
    assert (values["size"], values["frames"], values["prompts"]["train"]) == (8, 6, 1)
    assert values["first_frame"]["generated"]["first frame kept bit for bit"]["value"] == 1
    assert values["reference"].startswith("10 training clips") and "loop seam" in values["loops"]["asked to loop"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--data", "shapes"], "'shapes' holds no clips"),
        (["--data", "unheard-of"], "no data set at"),
        (["--data", "moving-shapes", "--size", "64"], "of at most 8 pixels"),
    ],
)
def test_what_cannot_be_evaluated_is_one_line(run: Run, tmp_path: Path, arguments: list[str], named: str) -> None:
    write_videos(tmp_path / "tiny")
    code, printed, errors = run("evaluate", tmp_path / "tiny", *arguments)
    assert code == 2 and printed == ""
    assert len(errors.splitlines()) == 1 and named in errors


def test_a_model_of_pictures_is_not_measured_on_clips(run: Run) -> None:
    code, _, errors = run("evaluate", "emoji", "--data", "moving-shapes")
    assert code == 2 and "holds clips and no pictures" in errors and len(errors.splitlines()) == 1
