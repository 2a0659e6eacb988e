"""`text2x inpaint`, `text2x outpaint` and `text2x vary`: pictures made from a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from text2x.cli.image import Making, make
from text2x.cli.options import taken, with_fields
from text2x.edits import Edit, Inpainting, Outpainting, Variation
from text2x.requests import ImageRequest
from text2x.text import clean_prompt, slug

Picture = Annotated[Path, typer.Argument(metavar="IMAGE", help="The picture: a PNG, JPEG or WebP file.")]
Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="[PROMPT]...", help="What it should show, in quotes; unquoted words make one prompt."),
]
NO_SIZE = ("size",)  # an edited picture has the size of the picture


@with_fields(ImageRequest, Inpainting, shared=Making, without=NO_SIZE)
def inpaint(picture: Picture, words: Words = None, **given: Any) -> None:
    """Paint a part of a picture anew: text2x inpaint photo.png --mask mask.png "a red hat"

    Every other pixel comes back bit for bit, at the picture's own size. Without a prompt the hole is filled with
    what fits.
    """
    _edit(Inpainting(image=picture, **taken(Inpainting, given)), picture, words, "inpainted", given)


@with_fields(ImageRequest, Outpainting, shared=Making, without=NO_SIZE)
def outpaint(picture: Picture, words: Words = None, **given: Any) -> None:
    """Paint around a picture: text2x outpaint photo.png --left 32 --right 32 "a beach"

    The picture itself comes back bit for bit inside the larger one.
    """
    _edit(Outpainting(image=picture, **taken(Outpainting, given)), picture, words, "outpainted", given)


@with_fields(ImageRequest, Variation, shared=Making, without=NO_SIZE)
def vary(picture: Picture, words: Words = None, **given: Any) -> None:
    """Make a picture anew from itself: text2x vary photo.png "in winter" --strength 0.6

    Without a prompt it becomes another picture of the same kind.
    """
    _edit(Variation(image=picture, **taken(Variation, given)), picture, words, "varied", given)


def _edit(edit: Edit, picture: Path, words: list[str] | None, suffix: str, given: dict[str, Any]) -> None:
    """One request, its files called after the picture."""
    prompt = clean_prompt(" ".join(words or []), allow_empty=True)
    request, warnings = ImageRequest(prompt=prompt.text, edit=edit, **taken(ImageRequest, given)).cleaned()
    name = slug(f"{picture.stem} {suffix}")
    make([request.seeded()], [*prompt.warnings, *warnings], Making(**taken(Making, given)), name)
