"""`text2x upscale`: a picture of any size made larger by a model's upsamplers."""

from __future__ import annotations

from typing import Any

from text2x.cli.edit import NO_SIZE, Picture, Words
from text2x.cli.image import Making, make
from text2x.cli.options import taken, with_fields
from text2x.edits import Upscaling
from text2x.requests import ImageRequest
from text2x.text import clean_prompt, slug


@with_fields(ImageRequest, Upscaling, shared=Making, without=NO_SIZE)
def upscale(picture: Picture, words: Words = None, **given: Any) -> None:
    """Make a picture larger: text2x upscale photo.png --to 256x256

    Transparency stays. A prompt helps where the upsampler reads words; another seed draws other details.
    """
    edit = Upscaling(image=picture, **taken(Upscaling, given))
    prompt = clean_prompt(" ".join(words or []), allow_empty=True)
    request, warnings = ImageRequest(prompt=prompt.text, edit=edit, **taken(ImageRequest, given)).cleaned()
    making = Making(**taken(Making, given))
    make([request.seeded()], [*prompt.warnings, *warnings], making, slug(f"{picture.stem} upscaled"))
