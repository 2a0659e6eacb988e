"""`text2x blend` and `text2x shift`: pictures from a picture by a model with a CLIP, as DALL-E 2 is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from text2x.cli.edit import NO_SIZE, Picture, Words
from text2x.cli.image import Making, make
from text2x.cli.options import models_folder, taken, with_fields
from text2x.edits import Blending, Edit, Shifting
from text2x.library import check_sees
from text2x.requests import ImageRequest
from text2x.text import clean_prompt, slug

Other = Annotated[Path, typer.Argument(metavar="OTHER", help="The other picture.")]


@with_fields(ImageRequest, Blending, shared=Making, without=NO_SIZE)
def blend(picture: Picture, other: Other, words: Words = None, **given: Any) -> None:
    """Make a picture between two: text2x blend one.png other.png --at 0.3 --model emoji-dalle2

    At 0 it is the first, at 1 the other, as well as the model can draw them; it has the size of the first.
    """
    edit = Blending(image=picture, other=other, **taken(Blending, given))
    _edit(edit, words, f"{picture.stem} {other.stem}", given)


@with_fields(ImageRequest, Shifting, shared=Making, without=NO_SIZE)
def shift(picture: Picture, words: Words = None, **given: Any) -> None:
    """Change a picture by two texts: text2x shift apple.png --from "an apple" --to "a golden apple"

    The picture moves by what tells the second text from the first, and stays itself otherwise.
    """
    _edit(Shifting(image=picture, **taken(Shifting, given)), words, f"{picture.stem} shifted", given)


def _edit(edit: Edit, words: list[str] | None, name: str, given: dict[str, Any]) -> None:
    """One request to a model with a CLIP, its files called after the pictures."""
    prompt = clean_prompt(" ".join(words or []), allow_empty=True)
    request, warnings = ImageRequest(prompt=prompt.text, edit=edit, **taken(ImageRequest, given)).cleaned()
    making = Making(**taken(Making, given))
    check_sees(making.model, models_folder())
    make([request.seeded()], [*prompt.warnings, *warnings], making, slug(name))
