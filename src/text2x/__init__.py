"""text2x: turn text into images with models that it trained itself. Importing it loads neither torch nor numpy."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any

from text2x.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from text2x.library import info, load, models
    from text2x.media import Image, contact_sheet
    from text2x.requests import Generator, ImageRequest, Result

try:
    __version__ = metadata.version("text2x")
except metadata.PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0.1.0"

__all__ = [
    "Generator", "Image", "ImageRequest", "InputError", "Result", "contact_sheet", "image", "info", "load", "models",
]  # fmt: skip

_PLACES = {
    "load": "library", "models": "library", "info": "library", "Image": "media", "contact_sheet": "media",
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
        warnings.warn(warning, stacklevel=2)
    return result.media


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'text2x' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"text2x.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
