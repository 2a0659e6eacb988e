"""`text2x blend` and `text2x shift`: what they ask a model for, where pictures go, what is refused."""

from pathlib import Path

import numpy as np
import pytest
from painter import Painter, Run, files_in

import text2x
import text2x.cli.image
from text2x.edits import Blending, Edit, Shifting
from text2x.errors import InputError
from text2x.media import Image, read_metadata
from text2x.requests import ImageRequest, OnStep, Result

pytestmark = pytest.mark.medium


@pytest.fixture
def asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> list[ImageRequest]:
    """The requests that reach a model with a CLIP, seeing; one.png and other.png lie in the folder."""
    for name in ("one.png", "other.png"):
        Image.from_uint8(np.full((20, 30, 3), 90, dtype=np.uint8)).save(name)
    Path(".models/seeing").mkdir()
    Path(".models/seeing/recipe.json").write_text('{"name": "seeing", "licence": "CC0-1.0", "clip": "beside"}')
    requests: list[ImageRequest] = []

    class Listening(Painter):
        def generate(self, request: ImageRequest, on_step: OnStep | None = None) -> list[Result]:
            requests.append(request)
            return super().generate(request, on_step)

    monkeypatch.setattr(text2x.cli.image, "load", lambda *_, **__: Listening())
    return requests


ONE, OTHER, SEEING = Path("one.png"), Path("other.png"), ("--model", "seeing")


@pytest.mark.parametrize(
    ("arguments", "edit"),
    [
        (["blend", "one.png", "other.png"], Blending(ONE, OTHER, 0.5)),
        (["blend", "one.png", "other.png", "--at", "0.3"], Blending(ONE, OTHER, 0.3)),
        (["shift", "one.png", "--to", "gold"], Shifting(ONE, "gold", "", 0.3)),
        (["shift", "one.png", "--from", "wood", "--to", "gold", "--by", "0.4"], Shifting(ONE, "gold", "wood", 0.4)),
    ],
    ids=str,
)
def test_flags_become_the_edit_and_the_rest_of_the_request(
    run: Run, asked: list[ImageRequest], arguments: list[str], edit: Edit
) -> None:
    code, _, errors = run(*arguments, "in winter", "--seed", 5, "--steps", 7, "-n", 2, *SEEING)
    assert (code, errors) == (0, "")
    assert asked == [ImageRequest("in winter", count=2, seed=5, steps=7, edit=edit)]


def test_files_are_called_after_the_pictures_and_say_what_was_done(run: Run, asked: list[ImageRequest]) -> None:
    run("blend", "one.png", "other.png", "--at", 0, "--seed", 1, *SEEING)
    run("shift", "one.png", "--to", "gold", "--seed", 1, *SEEING)
    assert files_in(Path()) == ["one.png", "other.png", "out/one-other.png", "out/one-shifted.png"]
    about = read_metadata("out/one-other.png")
    assert (about["edit"], about["image"], about["other"], about["at"]) == ("blending", "one.png", "other.png", 0)
    about = read_metadata("out/one-shifted.png")
    assert (about["edit"], about["after"], about["by"]) == ("shifting", "gold", 0.3)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["blend", "one.png", "other.png", "--model", "mine"], "mine has no CLIP that sees pictures"),
        (["shift", "one.png", "--to", "gold", "--model", "mine"], "seeing"),
        (["blend", "one.png", *SEEING], "OTHER"),
        (["blend", "one.png", "other.png", "--at", "1.5", *SEEING], "0 to 1"),
        (["shift", "one.png", *SEEING], "--to"),
        (["shift", "one.png", "--to", " ", *SEEING], "after"),
        (["shift", "one.png", "--to", "gold", "--by", "0.6", *SEEING], "0 to 0.5"),
        (["blend", "one.png", "other.png", "--size", "64", *SEEING], "--size"),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_one_line_and_exit_code_2(
    run: Run, asked: list[ImageRequest], arguments: list[str], named: str
) -> None:
    code, printed, errors = run(*arguments)
    assert code == 2 and printed == "" and named in errors and errors.count("\n") == 1
    assert asked == []


def test_python_says_the_same(run: Run, asked: list[ImageRequest]) -> None:
    for call in (
        lambda: text2x.blend("one.png", "other.png", 0.3),
        lambda: text2x.shift("one.png", "wood", "gold"),
    ):
        with pytest.raises(InputError, match="emoji has no CLIP that sees pictures"):
            call()
