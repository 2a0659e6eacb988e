"""`text2x image --walk`: an animation through pictures of a GAN, its file, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from text2x.cli import main
from text2x.library import load
from text2x.media import Image
from text2x.moving import Video, read_metadata
from text2x.requests import ImageRequest
from tiny_gan import write_gan
from tiny_models import base_recipe, write_model

pytestmark = pytest.mark.medium

GAN = ("--model", "./gan")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_gan(tmp_path / "gan", "gan")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_walk_by_two_prompts_is_one_file_that_passes_both(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["a cat", "a big dog", *GAN, "--walk", "6", "--fps", "10", "--seed", "4", "-o", "walk.png"]
    assert main(["image", *arguments]) == 0
    video = Video.read("walk.png")
    assert (len(video), video.rate, video.loops) == (6, pytest.approx(10, rel=0.01), True)
    for place, prompt in ((0, "a cat"), (3, "a big dog")):
        alone = load("./gan").generate(ImageRequest(prompt, seed=4))[0].media
        assert np.array_equal(video.pictures()[place].to_uint8(), alone.to_uint8())
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "walk.png  seeds 4, 4"
    assert printed[1].startswith("6 frames of 16 x 16 pixels, 0.6 s, by gan in ")


def test_one_prompt_is_walked_from_seed_to_seed() -> None:
    assert main(["image", "a cat", *GAN, "--walk", "4", "--seed", "4", "-o", "two.webp"]) == 0
    assert read_metadata("two.webp")["walk"] == [["a cat", 4], ["a cat", 5]]
    assert main(["image", "a cat", *GAN, "-n", "3", "--walk", "6", "--seed", "4", "-o", "three.webp"]) == 0
    about = read_metadata("three.webp")
    assert [seed for _, seed in about["walk"]] == [4, 5, 6]
    assert (about["prompt"], about["frames"], about["model"], about["truncation"]) == ("a cat", 6, "gan", 1.0)


def test_without_a_name_nothing_is_replaced(capsys: pytest.CaptureFixture[str], here: Path) -> None:
    for _ in range(2):
        assert main(["image", "a cat", *GAN, "--walk", "2", "--no-metadata"]) == 0
    assert sorted(each.name for each in (here / "out").iterdir()) == ["a-cat-walk-2.webp", "a-cat-walk.webp"]
    assert read_metadata("out/a-cat-walk.webp") == {}


def test_json_and_a_sheet_of_the_frames(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["a cat", *GAN, "--walk", "5", "--seed", "1", "-o", "walk.gif", "--grid", "sheet.png", "--json"]
    assert main(["image", *arguments, "--steps", "3"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["files"], told["seeds"], told["frames"]) == (["walk.gif"], [1, 2], 5)
    assert any("steps is 3 and is ignored" in each for each in told["warnings"])
    assert any("255 colours" in each for each in told["warnings"])
    assert Image.read("sheet.png").width > 16
    assert len(Video.read("walk.gif")) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "walk.jpg"], "cannot be written as 'jpg'; give webp, png, gif"),
        (["--preview"], "no preview"),
        (["-o", "walk.gif", "--format", "webp"], "disagree"),
        (["-o", "nowhere/walk.gif"], "there is no folder nowhere"),
        (["-n", "5"], "frames is 4; a walk by 5 stations has 5 to 1000"),
        (["--truncation", "3"], "truncation is 3"),
        (["--size", "32"], "at most 16 pixels"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["image", "a cat", *GAN, "--walk", "4", *options]) == 2
    assert message in capsys.readouterr().err


def test_a_model_of_diffusion_cannot_walk(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_model(here / "dots", (base_recipe(),), 16)
    assert main(["image", "a cat", "--model", "./dots", "--walk", "4"]) == 2
    assert "the model dots cannot walk: --walk is for GANs; `text2x train gan` makes one" in capsys.readouterr().err
