"""`text2x evaluate`: a real small model through the command, and what it refuses in one line."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from painter import Run

from text2x.cli.evaluate import Lines
from text2x.data.shapes import STYLES
from tiny_guides import judge_recipe, write_guide_run
from tiny_models import base_recipe, write_model

pytestmark = pytest.mark.medium

FILES = ["report.md", "report.json", "sheet.png", "copies.png"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    base = base_recipe()
    text = dataclasses.replace(base.conditioner, styles=tuple(STYLES))
    sampling = dataclasses.replace(base.sampling, style="large", steps=1)
    write_model(tmp_path / "random", (dataclasses.replace(base, conditioner=text, sampling=sampling),), 16)
    return tmp_path / "random"


@pytest.mark.medium
def test_a_report_is_written_with_the_command_that_makes_it_again(run: Run, model: Path, tmp_path: Path) -> None:
    write_guide_run(tmp_path / "judge", judge_recipe())
    given = ["--data", "shapes", "--prompts", 2, "--seeds", 2, "--device", "cpu"]
    code, printed, errors = run("evaluate", model, *given, "--judge", tmp_path / "judge", "-o", "report")
    assert code == 0, errors
    assert printed.splitlines()[:4] == [f"report/{name}" for name in FILES]
    assert "12 pictures by random on shapes in " in printed and "left out: " in errors
    page = Path("report/report.md").read_text()
    assert f"text2x evaluate {model} --data shapes --prompts 2 --seeds 2 --judge {tmp_path / 'judge'}" in page
    values = json.loads(Path("report/report.json").read_text())
    assert set(values["bench"]) >= {"colour", "count", "negation", "another language"}
    colour = values["bench"]["colour"]
    assert colour["chance"]["value"] == 0.01 and colour["generated"]["n"] == 25 and colour["noise"]["value"] <= 1
    assert any("style accuracy" in name for name in values["figures"]["train"]["generated"])
    assert "t 0.5" in values["losses"]["unseen-concepts"]
    assert any("R-precision needs texts of 99 concepts" in each for each in values["left_out"])


@pytest.mark.medium
def test_the_report_is_printed_as_json_where_that_is_asked_for(run: Run, model: Path) -> None:
    given = ["--data", "shapes", "--prompts", 1, "--seeds", 1, "--no-bench", "--size", 8, "--device", "cpu"]
    code, printed, _ = run("evaluate", model, *given, "--json")
    found = json.loads(printed)
    assert code == 0 and found["folder"] == "out/random-shapes" and found["size"] == 8
    assert found["figures"]["train"]["generated"] and found["prompts"]["train"] == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["evaluate", "nothing"], "unknown model 'nothing'"),
        (["evaluate", "mine", "--data", "unheard-of"], "no data set at"),
        (["evaluate", "emoji-judge", "--data", "shapes"], "judges pictures and makes none"),
        (["evaluate", "emoji", "--data", "shapes", "--judge", "nowhere"], "nowhere/recipe.json is missing"),
        (["evaluate", "emoji", "--data", "shapes", "--size", "64"], "size is 64; the pictures of 'shapes' have 32"),
        (["evaluate", "mine", "--seeds", "0"], "--seeds"),
        (["evaluate", "mine", "-o", "file"], "file is a file and no folder"),
    ],
)
def test_what_cannot_be_evaluated_is_one_line(run: Run, arguments: list[str], named: str) -> None:
    Path("file").write_text("")
    code, printed, errors = run(*arguments)
    assert code == 2 and printed == ""
    assert len(errors.splitlines()) == 1 and named in errors


def test_progress_without_a_terminal_is_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()
    lines("pictures", 1, 4)
    assert capsys.readouterr().err == ""
    lines.told -= 60
    lines("pictures", 2, 4)
    lines("pictures", 3, 4)
    assert capsys.readouterr().err == "pictures 2/4\n"
