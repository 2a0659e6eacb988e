"""`text2x upscale`: what it asks a model for, where pictures go, what is refused."""

from pathlib import Path

import numpy as np
import pytest
from painter import Painter, Run, files_in

import text2x
import text2x.cli.image
from text2x.edits import Upscaling
from text2x.media import Image, read_metadata
from text2x.requests import ImageRequest, OnStep, Result

pytestmark = pytest.mark.medium


@pytest.fixture
def asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> list[ImageRequest]:
    """The requests that reach the model; a picture called photo.png lies in the folder."""
    Image.from_uint8(np.full((20, 30, 3), 90, dtype=np.uint8)).save("photo.png")
    requests: list[ImageRequest] = []

    class Listening(Painter):
        def generate(self, request: ImageRequest, on_step: OnStep | None = None) -> list[Result]:
            requests.append(request)
            return super().generate(request, on_step)

    monkeypatch.setattr(text2x.cli.image, "load", lambda *_: Listening())
    return requests


def test_flags_become_the_edit_and_the_rest_of_the_request(run: Run, asked: list[ImageRequest]) -> None:
    code, _, errors = run("upscale", "photo.png", "a", "red", "hat", "--to", "60x40", "--seed", 5, "--steps", 7)
    assert (code, errors) == (0, "")
    assert run("upscale", "photo.png", "--by", "2.5", "--seed", 5)[0] == 0
    assert asked == [
        ImageRequest("a red hat", seed=5, steps=7, edit=Upscaling(Path("photo.png"), to="60x40")),
        ImageRequest("", seed=5, edit=Upscaling(Path("photo.png"), by=2.5)),
    ]


def test_the_file_is_called_after_the_picture_and_says_what_was_done_to_it(run: Run, asked: list[ImageRequest]) -> None:
    run("upscale", "photo.png", "--to", "60x40", "--seed", 1)
    assert files_in(Path()) == ["out/photo-upscaled.png", "photo.png"] and len(asked) == 1
    about = read_metadata("out/photo-upscaled.png")
    assert (about["edit"], about["image"], about["to"], about["seed"]) == ("upscaling", "photo.png", "60x40", 1)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["upscale", "photo.png"], "give the new size"),
        (["upscale"], "IMAGE"),
        (["upscale", "photo.png", "--to", "60x40", "--by", "2"], "not both"),
        (["upscale", "photo.png", "--to", "large"], "'large'"),
        (["upscale", "photo.png", "--by", "20"], "1 to 16"),
        (["upscale", "photo.png", "--by", "2", "--size", "64"], "--size"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_one_line_and_exit_code_2(
    run: Run, asked: list[ImageRequest], arguments: list[str], named: str
) -> None:
    code, printed, errors = run(*arguments)
    assert code == 2 and printed == "" and named in errors and errors.count("\n") == 1
    assert asked == []


@pytest.mark.medium
def test_the_shipped_model_upscales_a_picture_that_it_did_not_make() -> None:
    rows, columns = np.mgrid[:24, :40]
    disc = ((rows - 12) ** 2 + (columns - 20) ** 2 < 81)[..., None] * np.array([200, 40, 40, 255])
    image = Image.from_uint8(disc.astype(np.uint8))
    made = text2x.upscale(image, to="80x48", seed=3)
    assert (made.width, made.height) == (80, 48)
    difference = np.abs(made.resize(40, 24).pixels - image.pixels).mean()
    assert difference < 0.1 * np.abs(np.roll(image.pixels, 9, 2) - image.pixels).mean()  # the same picture, only larger
    assert made.pixels[3, 0, 0] < -0.8 and made.pixels[3, 24, 40] > 0.8
