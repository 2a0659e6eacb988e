"""`--upsampler` and `--stage`: stages of other models and runs, for pictures from words and from pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import text2x
from text2x.cli import main
from text2x.cli.options import stages_of
from text2x.errors import InputError
from text2x.media import Image, read_metadata
from text2x.recipe import LowResolution
from tiny_gan import write_gan
from tiny_models import base_recipe, upsampler_recipe, write_model

pytestmark = pytest.mark.medium


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base with an upsampler, a base alone, an upsampler of 4, one for multiples of 64, and a GAN."""
    root = tmp_path_factory.mktemp("stages")
    four = replace(upsampler_recipe(), name="four", size=64, low_resolution=LowResolution(factor=4))
    coarse = replace(upsampler_recipe(), name="coarse")
    coarse = replace(coarse, network=replace(coarse.network, patch=16, multipliers=(1, 1, 1)))
    write_model(root / "two", (base_recipe(), upsampler_recipe()), size=32)
    write_model(root / "small", (replace(base_recipe(), name="small"),), size=16)
    write_model(root / "four", (four,), size=64)
    write_model(root / "coarse", (coarse,), size=64)
    write_gan(root / "gan")
    return root


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEXT2X_MODELS", str(models))
    Image.from_uint8(np.full((16, 16, 3), 90, dtype=np.uint8)).save("photo.png")


def test_an_upsampler_is_swapped_and_the_file_says_so(models: Path) -> None:
    given = ["image", "a dog", "--model", "two", "--seed", "1"]
    assert main([*given, "-o", "own.png"]) == 0
    assert main([*given, "--upsampler", "four", "-o", "four.png"]) == 0
    assert main([*given, "--stage", f"1={models / 'four'}", "-o", "one.png"]) == 0
    about = read_metadata("four.png")
    assert (about["stage 1"], about["model"], about["size"]) == ("four", "two", 64)
    assert "stage 1" not in read_metadata("own.png")
    assert Image.read("own.png").width == 32
    assert np.array_equal(Image.read("four.png").pixels, Image.read("one.png").pixels)


def test_edits_take_them_too() -> None:
    given = ["--model", "small", "--seed", "1", "--steps", "2"]
    assert main(["upscale", "photo.png", "--to", "64", *given, "--upsampler", "four"]) == 0
    assert Image.read("out/photo-upscaled.png").width == 64
    assert main(["inpaint", "photo.png", "--mask", "2,2,8,8", *given, "--stage", "0=two"]) == 0
    about = read_metadata("out/photo-inpainted.png")
    assert about["stage 0"] == "two" and about["edit"] == "inpainting"


def test_the_same_from_python_in_one_call(models: Path) -> None:
    fields = {"model": models / "small", "device": "cpu", "seed": 1}
    larger = text2x.image("a dog", upsampler=models / "four", **fields)
    both = text2x.image("a dog", upsampler=[models / "two"], stages={1: models / "four"}, **fields)
    assert larger.width == both.width == 64 and np.array_equal(larger.pixels, both.pixels)
    assert text2x.image("a dog", **fields).width == 16


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--stage", "2=four"], "there is no stage 2; the model random has 0 to 1, and --upsampler adds others"),
        (["--stage", "four"], "cannot read the stage 'four'; write 0=NAME for the base"),
        (["--stage", "1=four", "--stage", "1=two"], "stage 1 is given twice"),
        (["--stage", "1=small"], "the stage 'small' is no upsampler"),
        (["--stage", "0=four"], "has no stage that reads a prompt"),
        (["--upsampler", "small"], "has no upsampler"),
        (["--upsampler", "gan"], "gan is a GANModel and has no stage to give; name a model of diffusion"),
        (["--upsampler", "coarse"], "coarse makes sides that are multiples of 64, not 32 as behind base; take another"),
        (["--upsampler", "fourr"], "unknown model 'fourr'"),
        (["--upsampler", "four", "--walk", "4"], "a walk is for GANs, which have no stages"),
        (["--upsampler", "four", "--model", "gan"], "gan is a GAN, which has no stages that could be swapped"),
    ],
    ids=str,
)
def test_what_cannot_be_swapped_is_one_line(
    arguments: list[str], named: str, capfd: pytest.CaptureFixture[str]
) -> None:
    model = [] if "--model" in arguments else ["--model", "two"]
    assert main(["image", "a dog", "--seed", "1", *model, *arguments]) == 2
    errors = capfd.readouterr().err
    assert named in errors and len(errors.splitlines()) == 1


def test_places_are_read_and_nothing_given_is_none() -> None:
    assert stages_of(None) == {} and stages_of(["0=a", "2=b=c"]) == {0: "a", 2: "b=c"}
    for wrong in ("1=", "=a", "-1=a", "100=a", "x=a"):
        with pytest.raises(InputError, match="write 0=NAME"):
            stages_of([wrong])
