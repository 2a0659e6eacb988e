"""text2x: turn text into images with models that it trained itself. Importing it loads neither torch nor numpy."""

from __future__ import annotations

from importlib import metadata
from os import PathLike
from typing import TYPE_CHECKING, Any

from text2x.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from text2x.audio import Audio
    from text2x.edits import Blending, Inpainting, Outpainting, Shifting, Upscaling, Variation
    from text2x.library import info, load, models
    from text2x.media import Image, contact_sheet
    from text2x.moving import Video
    from text2x.requests import Generator, ImageRequest, Result
    from text2x.sound_requests import MusicRequest, SoundRequest
    from text2x.speech_requests import SpeechRequest
    from text2x.video_requests import VideoRequest

try:
    __version__ = metadata.version("text2x")
except metadata.PackageNotFoundError:  # run from a source tree that is not installed
    __version__ = "0.1.0"

__all__ = [
    "Generator", "Image", "ImageRequest", "InputError", "Inpainting", "Outpainting", "Result", "Variation",
    "Blending", "Shifting", "Upscaling", "blend", "contact_sheet", "image", "info", "inpaint", "load", "models",
    "outpaint", "shift", "upscale", "vary", "Audio", "SpeechRequest", "speech",
    "MusicRequest", "SoundRequest", "music", "sound", "Video", "VideoRequest", "video",
]  # fmt: skip

_PLACES = {
    "Audio": "audio",
    "load": "library", "models": "library", "info": "library", "Image": "media", "contact_sheet": "media",
    "Blending": "edits", "Inpainting": "edits", "Outpainting": "edits", "Shifting": "edits", "Upscaling": "edits",
    "Variation": "edits",
    "MusicRequest": "sound_requests", "SoundRequest": "sound_requests",
    "Video": "moving", "VideoRequest": "video_requests",
    "SpeechRequest": "speech_requests", "ImageRequest": "requests", "Result": "requests", "Generator": "requests",
}  # fmt: skip


def image(
    prompt: str,
    model: str | Path = "emoji",
    device: str = "auto",
    upsampler: str | Path | Sequence[str | Path] = (),
    stages: Mapping[int, str | Path] | None = None,
    **fields: Any,
) -> Image:
    """The picture for a prompt, which shows itself in a notebook; `fields` are those of ImageRequest.

    `upsampler` is another model or a training run, or several, whose upsamplers take the place of the model's own;
    `stages` puts the stage of another in the place of a single one, 0 for the base.

    The model stays loaded for the next call. Of several pictures the first is given: `load(...).generate(...)` gives
    them all, with seeds and warnings; here a warning is a Python warning.
    """
    import warnings

    from text2x.library import load_once
    from text2x.requests import ImageRequest

    request = ImageRequest.from_dict({"prompt": prompt, **fields})
    larger = (upsampler,) if isinstance(upsampler, (str, PathLike)) else tuple(upsampler or ())
    result = load_once(model, device, upsamplers=larger, stages=stages).generate(request)[0]
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


def upscale(picture: Image | str | Path, prompt: str = "", **fields: Any) -> Image:
    """The picture made larger; `fields` are to="256x256" or by=4, and those of `image`."""
    return _edited("Upscaling", prompt, fields, image=picture)


def blend(
    picture: Image | str | Path, other: Image | str | Path, at: float = 0.5, prompt: str = "", **fields: Any
) -> Image:
    """A picture between two, by a model with a CLIP; `fields` are those of `image`, above all model."""
    _check_sees(fields)
    return _edited("Blending", prompt, fields, image=picture, other=other, at=at)


def shift(picture: Image | str | Path, before: str, after: str, prompt: str = "", **fields: Any) -> Image:
    """The picture changed by what tells the second text from the first; `fields` are by and those of `image`."""
    _check_sees(fields)
    return _edited("Shifting", prompt, fields, image=picture, before=before, after=after)


def _check_sees(fields: dict[str, Any]) -> None:
    from text2x.library import check_sees

    check_sees(fields.get("model", "emoji"))


def speech(text: str, model: str | Path | None = None, device: str = "auto", **fields: Any) -> Audio:
    """A text said aloud, which plays itself in a notebook; `fields` are those of SpeechRequest.

    Without a model voice-en is taken, or voice-indic if the text is written so. `load(...).generate` gives the times of
    words as well; here a warning is a Python warning.
    """
    import warnings

    from text2x.library import load_once, voice_for
    from text2x.speech_requests import SpeechRequest

    request: Any = SpeechRequest.from_dict({"text": text, **fields})
    result = load_once(model or voice_for(text, request.language), device).generate(request)[0]
    for warning in result.warnings:
        warnings.warn(warning, stacklevel=_caller())
    return result.media


def sound(prompt: str, model: str | Path | None = None, device: str = "auto", **fields: Any) -> Audio:
    """A sound from words, which plays itself in a notebook; `fields` are those of SoundRequest, as seconds=2."""
    return _heard("sound", prompt, model, device, fields)


def music(prompt: str, model: str | Path | None = None, device: str = "auto", **fields: Any) -> Audio:
    """Music from words; `fields` are those of MusicRequest, as seconds=12 or melody="hummed.wav"."""
    return _heard("music", prompt, model, device, fields)


def video(prompt: str = "", model: str | Path | None = None, device: str = "auto", **fields: Any) -> Video:
    """A clip from words, or from image=, extend= or video=; `fields` are those of VideoRequest, as frames=24.

    Of several clips the first is given: `load(...).generate(...)` gives all; here a warning is a Python warning.
    """
    import warnings

    from text2x.library import load_once
    from text2x.video_library import video_model_for
    from text2x.video_requests import VideoRequest

    request: Any = VideoRequest.from_dict({"prompt": prompt, **fields})
    result = load_once(model or video_model_for(), device).generate(request)[0]
    for warning in result.warnings:
        warnings.warn(warning, stacklevel=_caller())
    return result.media


def _heard(kind: Any, prompt: str, model: str | Path | None, device: str, fields: dict[str, Any]) -> Audio:
    """The first sound that is asked for; a warning is a Python warning."""
    import warnings

    from text2x import sound_requests
    from text2x.library import load_once
    from text2x.sound_library import model_for

    ask = sound_requests.SoundRequest if kind == "sound" else sound_requests.MusicRequest
    request: Any = ask.from_dict({"prompt": prompt, **fields})
    result = load_once(model or model_for(kind), device).generate(request)[0]
    for warning in result.warnings:
        warnings.warn(warning, stacklevel=_caller())
    return result.media


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
