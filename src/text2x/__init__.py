"""text2x: turn text into images with models that it trained itself. Importing it loads neither torch nor numpy."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any

from text2x.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from text2x.edits import Inpainting, Outpainting, Variation
    from text2x.library import info, load, models
    from text2x.media import Image, contact_sheet
    from text2x.requests import Generator, ImageRequest, Result

try:
    __version__ = metadata.version("text2x")
except metadata.PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0.1.0"

__all__ = [
    "Generator", "Image", "ImageRequest", "InputError", "Inpainting", "Outpainting", "Result", "Variation",
    "contact_sheet", "image", "info", "inpaint", "load", "models", "outpaint", "vary",
]  # fmt: skip

_PLACES = {
    "load": "library", "models": "library", "info": "library", "Image": "media", "contact_sheet": "media",
    "Inpainting": "edits", "Outpainting": "edits", "Variation": "edits",
    "ImageRequest": "requests", "Result": "requests", "Generator": "requests",
}  # fmt: skip


def image(prompt: str, model: str | Path = "emoji", device: str = "auto", **fields: Any) -> Image:
    """The picture for a prompt, which shows itself in a notebook; `fields` are those of ImageRequest.

    The model stays loaded for the next call. Of several pictures the first is given: `load(...).generate(...)` gives
    them all, with seeds and warnings; here a warning is a Python warning.
    """
    import warnings

    from text2x.library import load_once
    from text2x.requests import ImageRequest

    request = ImageRequest.from_dict({"prompt": prompt, **fields})
    result = load_once(model, device).generate(request)[0]
    for warning in result.warnings:
        warnings.warn(warning, stacklevel=_caller())
    return result.media


def inpaint(picture: Image | str | Path, mask: Image | str | Path, prompt: str = "", **fields: Any) -> Image:
    """The picture with a part painted anew; all else comes back bit for bit.

    `mask` is a picture, its file or a box "LEFT,TOP,WIDTH,HEIGHT"; `fields` are those of Inpainting and ImageRequest,
    model and device.
    """
    return _edited("Inpainting", prompt, fields, image=picture, mask=mask)


def outpaint(picture: Image | str | Path, prompt: str = "", **fields: Any) -> Image:
    """The picture inside a larger one; `fields` are those of Outpainting, as left=32 or zoom=1.5, and of `image`."""
    return _edited("Outpainting", prompt, fields, image=picture)


def vary(picture: Image | str | Path, prompt: str = "", **fields: Any) -> Image:
    """The picture made anew from itself; `fields` are strength and those of ImageRequest, model and device."""
    return _edited("Variation", prompt, fields, image=picture)


def _edited(kind: str, prompt: str, fields: dict[str, Any], **pictures: Any) -> Image:
    """`image` with an edit made of those fields that are its own."""
    from dataclasses import fields as fields_of

    from text2x import edits

    make = getattr(edits, kind)
    own = {each.name: fields.pop(each.name) for each in fields_of(make) if each.name in fields}
    return image(prompt, edit=make(**pictures, **own), **fields)


def _caller() -> int:
    """How far above this the code outside of the package is, for warnings."""
    import sys

    depth = 1
    while sys._getframe(depth).f_globals.get("__name__") == __name__:
        depth += 1
    return depth


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'text2x' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"text2x.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
