"""What a request for a clip was given, as frames of the model's size: which are known, and which to begin from.

Arrays are [N, 4, S, S] premultiplied RGBA in [-1, 1]; masks are [N, 1, S, S], 1 = known. Pictures and clips are padded
to squares and brought to size; at the size of the result what is known comes back bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from text2x.editing import read_mask
from text2x.errors import InputError
from text2x.media import Image
from text2x.moving import Video
from text2x.video_requests import MOST_FRAMES, VideoRequest

KINDS = ("image", "last_image", "extend", "video", "mask")


@dataclass(frozen=True)
class Material:
    """Frames that were given, at the size of the result."""

    frames: NDArray[np.float32]  # [N, 4, S, S]
    keep: NDArray[np.float32]  # [N, 1, S, S] 1 = known
    begins: int = 0  # frames that are wholly known at the beginning
    start: bool = False  # whether sampling begins from the frames in place of noise
    rate: float | None = None  # frames/s of the clip that was given
    kinds: frozenset[str] = frozenset()  # what was given
    described: Mapping[str, Any] = field(default_factory=dict)  # for the file's metadata

    @property
    def known(self) -> bool:
        """Whether anything is known for certain."""
        return bool((self.keep == 1).any())


def material_of(request: VideoRequest, frames: int, size: int) -> tuple[Material, tuple[str, ...]]:
    """What a request for so many frames was given, and warnings about what had to be changed of it."""
    kinds = frozenset(name for name in KINDS if getattr(request, name) is not None)
    described = {name: str(getattr(request, name)) for name in kinds if isinstance(getattr(request, name), (str, Path))}
    warnings: list[str] = []
    made = Material(_empty(frames, size), np.zeros((frames, 1, size, size), np.float32), kinds=kinds)
    made = replace(made, described=described)
    if request.video is not None:
        return _made_anew(request, made, size, warnings), tuple(warnings)
    if request.extend is not None:
        given = _clip(request.extend, request.fps, size, warnings)
        count = len(given) + frames
        whole = _empty(count, size)
        whole[: len(given)] = given.frames
        keep = np.zeros((count, 1, size, size), np.float32)
        keep[: len(given)] = 1
        return replace(made, frames=whole, keep=keep, begins=len(given), rate=given.rate), tuple(warnings)
    for name, place in (("image", 0), ("last_image", frames - 1)):
        if (source := getattr(request, name)) is not None:
            made.frames[place] = _picture(source, size, warnings)
            made.keep[place] = 1
    return replace(made, begins=int(request.image is not None)), tuple(warnings)


def _made_anew(request: VideoRequest, made: Material, size: int, warnings: list[str]) -> Material:
    """A clip from which sampling begins, or of which a region is known."""
    given = _read(request.video, request.fps)
    keep = np.zeros((given.height, given.width), np.float32)
    if request.mask is not None:
        keep, more = read_mask(request.mask, given.width, given.height)
        warnings += more
        keep = (keep == 1).astype(np.float32)
    shown = _sized(given, size, warnings)
    if len(shown) > MOST_FRAMES:
        raise InputError(f"the clip has {len(shown)} frames; at most {MOST_FRAMES} are made anew: cut it")
    mask = _square_mask(keep, size) if request.mask is not None else np.zeros((size, size), np.float32)
    keeps = np.broadcast_to(mask, (len(shown), 1, size, size)).copy()
    start = request.strength is not None
    return replace(made, frames=shown.frames.copy(), keep=keeps, start=start, rate=given.rate)


def _square_mask(keep: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """The mask of a padded square at another size; a pixel is known if all that it covers is; bars are known."""
    height, width = keep.shape
    side = max(height, width)
    square = np.ones((side, side), np.float32)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = keep
    if side == size:
        return square
    edges = np.arange(size + 1) * (side / size)
    low, high = np.floor(edges[:-1]).astype(int), np.ceil(edges[1:]).astype(int)
    rows = np.stack([square[a:b].min(0) for a, b in zip(low, high, strict=True)])
    return np.stack([rows[:, a:b].min(1) for a, b in zip(low, high, strict=True)], axis=1)


def _empty(frames: int, size: int) -> NDArray[np.float32]:
    return np.full((frames, 4, size, size), -1, np.float32)


def _picture(source: Any, size: int, warnings: list[str]) -> NDArray[np.float32]:
    image = source if isinstance(source, Image) else Image.read(source)
    return _sized(Video(image.pixels[None], 1.0), size, warnings, "the picture").frames[0]


def _read(source: Any, rate: float | None) -> Video:
    if isinstance(source, Video):
        return source if rate is None else source.at_rate(rate)
    return Video.read(source, rate)


def _clip(source: Any, rate: float | None, size: int, warnings: list[str]) -> Video:
    given = _sized(_read(source, rate), size, warnings)
    if len(given) > 10 * MOST_FRAMES:
        raise InputError(f"the clip has {len(given)} frames; at most {10 * MOST_FRAMES} are gone on with: cut it")
    return given


def _sized(video: Video, size: int, warnings: list[str], what: str = "the clip") -> Video:
    """A square of the size, padded with nothing where the given one is no square."""
    if (video.width, video.height) == (size, size):
        return video
    padded = "" if video.width == video.height else ", bars of nothing beside it"
    warnings.append(f"{what} of {video.width} x {video.height} pixels is shown at {size} x {size}{padded}")
    return video.square(pad=True).resize(size)
