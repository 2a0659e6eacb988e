"""`text2x inpaint`, `outpaint` and `vary`: what they ask a model for, where pictures go, what is refused."""

from pathlib import Path

import numpy as np
import pytest
from painter import Painter, Run, files_in

import text2x.cli.image
from text2x.edits import Edit, Inpainting, Outpainting, Variation
from text2x.media import Image, read_metadata
from text2x.requests import ImageRequest, OnStep, Result


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


@pytest.mark.parametrize(
    ("arguments", "edit"),
    [
        (["inpaint", "photo.png", "--mask", "1,2,3,4"], Inpainting(Path("photo.png"), "1,2,3,4")),
        (
            ["inpaint", "photo.png", "--mask", "m.png", "--repaint", "black", "--method", "langevin", "--rounds", "3",
             "--feather", "2"],
            Inpainting(Path("photo.png"), "m.png", "black", "langevin", 3, 2),
        ),
        (["outpaint", "photo.png", "--left", "3", "--top", "4"], Outpainting(Path("photo.png"), left=3, top=4)),
        (["outpaint", "photo.png", "--to", "64x64"], Outpainting(Path("photo.png"), to="64x64")),
        (["outpaint", "photo.png", "--zoom", "1.5"], Outpainting(Path("photo.png"), zoom=1.5)),
        (["vary", "photo.png", "--strength", "0.25"], Variation(Path("photo.png"), 0.25)),
    ],
    ids=str,
)  # fmt: skip
def test_flags_become_the_edit_and_the_rest_of_the_request(
    run: Run, asked: list[ImageRequest], arguments: list[str], edit: Edit
) -> None:
    code, _, errors = run(*arguments, "a red hat", "--seed", 5, "--steps", 7, "-n", 2, "--also", "snow::0.5")
    assert (code, errors) == (0, "")
    assert asked == [ImageRequest("a red hat", count=2, seed=5, steps=7, also=("snow::0.5",), edit=edit)]


def test_files_are_called_after_the_picture_and_say_what_was_done_to_it(run: Run, asked: list[ImageRequest]) -> None:
    run("inpaint", "photo.png", "--mask", "1,2,3,4", "--seed", 1)
    run("outpaint", "photo.png", "--left", "8", "--seed", 1)
    run("vary", "photo.png", "--seed", 1)
    assert files_in(Path()) == [
        "out/photo-inpainted.png", "out/photo-outpainted.png", "out/photo-varied.png", "photo.png",
    ]  # fmt: skip
    about = read_metadata("out/photo-inpainted.png")
    assert (about["edit"], about["image"], about["mask"], about["seed"]) == ("inpainting", "photo.png", "1,2,3,4", 1)
    assert read_metadata("out/photo-outpainted.png")["left"] == 8
    assert read_metadata("out/photo-varied.png")["strength"] == 0.5
    assert all(request.prompt == "" for request in asked)


def test_words_without_quotes_are_one_prompt(run: Run, asked: list[ImageRequest]) -> None:
    assert run("vary", "photo.png", "in", "winter")[0] == 0
    assert asked[0].prompt == "in winter"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["inpaint", "photo.png", "a hat"], "--mask"),
        (["inpaint"], "IMAGE"),
        (["inpaint", "photo.png", "--mask", "0,0,3,3", "--method", "chanels"], "did you mean channels?"),
        (["inpaint", "photo.png", "--mask", "0,0,3,3", "--size", "64"], "--size"),
        (["outpaint", "photo.png"], "nothing to add"),
        (["outpaint", "photo.png", "--left", "5000"], "4096"),
        (["outpaint", "photo.png", "--zoom", "9"], "1 to 8"),
        (["vary", "photo.png", "--strength", "0"], "strength is 0"),
        (["vary", "photo.png", "--strength", "1.5"], "0 to 1"),
        (["vary", "photo.png", "--strength", "much"], "--strength"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_one_line_and_exit_code_2(
    run: Run, asked: list[ImageRequest], arguments: list[str], named: str
) -> None:
    code, printed, errors = run(*arguments)
    assert code == 2 and printed == "" and named in errors and errors.count("\n") == 1
    assert asked == []
