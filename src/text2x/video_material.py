"""What a request for a clip was given, as frames of the model's size: which are known, and which to begin from.

Arrays are [N, 4, H, W] premultiplied RGBA in [-1, 1]; masks are [N, 1, H, W], 1 = known. Pictures and clips are padded
to the shape of the result and brought to size; at that size what is known comes back bit for bit.
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
from text2x.video_files import UnevenTimesError
from text2x.video_requests import MOST_FRAMES, VideoRequest

KINDS = ("image", "last_image", "extend", "interpolate", "video", "mask")
LONGEST = 10 * MOST_FRAMES  # frames of a clip that is gone on with, or gets more between its own
Size = tuple[int, int]  # width and height in pixels


@dataclass(frozen=True)
class Material:
    """Frames that were given, at the size of the result."""

    frames: NDArray[np.float32]  # [N, 4, H, W]
    keep: NDArray[np.float32]  # [N, 1, H, W] 1 = known
    begins: int = 0  # frames that are wholly known at the beginning
    start: bool = False  # whether sampling begins from the frames in place of noise
    rate: float | None = None  # frames/s of the clip that was given
    pace: float | None = None  # frames/s at which what is seen would take its own time, where it may be shown at others
    kinds: frozenset[str] = frozenset()  # what was given
    described: Mapping[str, Any] = field(default_factory=dict)  # for the file's metadata

    @property
    def known(self) -> bool:
        """Whether anything is known for certain."""
        return bool((self.keep == 1).any())


def material_of(request: VideoRequest, usual: int, size: Size, window: int) -> tuple[Material, tuple[str, ...]]:
    """What a request was given, and warnings about what had to be changed of it.

    `usual` is the number of frames where it is left open; `window` are made at once.
    """
    frames = request.frames or usual
    kinds = frozenset(name for name in KINDS if getattr(request, name) is not None)
    described = {name: str(getattr(request, name)) for name in kinds if isinstance(getattr(request, name), (str, Path))}
    warnings: list[str] = []
    if request.video is not None:
        made = _made_anew(request, size, warnings)
    elif request.interpolate is not None:
        made = _with_more_between(request, size, window, warnings)
    elif request.extend is not None:
        given = _clip(_read(request.extend, request.fps), size, warnings)
        made = _known_at(given, len(given) + frames, np.arange(len(given)))
        made = replace(made, begins=len(given), rate=given.rate)
    else:
        made = Material(_empty(frames, size), _nothing(frames, size), begins=int(request.image is not None))
        for name, place in (("image", 0), ("last_image", frames - 1)):
            if (source := getattr(request, name)) is not None:
                made.frames[place] = _picture(source, size, warnings)
                made.keep[place] = 1
    return replace(made, kinds=kinds, described=described), tuple(warnings)


def _known_at(given: Video, count: int, places: NDArray[np.int64]) -> Material:
    """So many frames, of which those at the places are the given ones."""
    size = given.width, given.height
    made = Material(_empty(count, size), _nothing(count, size))
    made.frames[places] = given.frames
    made.keep[places] = 1
    return made


def _with_more_between(request: VideoRequest, size: Size, window: int, warnings: list[str]) -> Material:
    """A clip with unknown frames between its own; the first stays the first, and without a loop the last the last."""
    try:
        given = _clip(_read(request.interpolate, None), size, warnings)
    except UnevenTimesError as error:
        raise InputError(f"{error.file} shows its frames for unequal times; save it at one rate before") from None
    loop = bool(request.loop)
    steps = len(given) - (not loop)  # from one given frame to the next
    if steps < 1:
        raise InputError("the clip to interpolate has one frame; there is something between two or more: give a clip")
    frames = request.frames
    if frames is None:
        assert request.fps is not None
        frames = round(steps * request.fps / given.rate) + (not loop)
        if frames <= len(given):
            rates = f"fps is {request.fps:g}, and the clip has {given.rate:g} frames/s already"
            raise InputError(f"{rates}: give more, as {2 * given.rate:g}")
    most = steps * (window - 1) + (not loop)
    if not len(given) < frames <= min(most, LONGEST):
        limits = f"from {len(given) + 1} to {min(most, LONGEST)} (this one: {frames})"
        raise InputError(f"a clip of {len(given)} frames becomes one {limits}; for more, interpolate twice")
    wide = frames if loop else frames - 1
    places = (np.arange(len(given)) * wide + steps // 2) // steps
    if wide % steps:
        even = steps * max(2, round(wide / steps)) + (not loop)
        warnings.append(f"the given frames lie at unequal distances among {frames}; {even} would have equal ones")
    pace = given.rate * wide / steps
    return replace(_known_at(given, frames, places), rate=pace, pace=pace)


def _made_anew(request: VideoRequest, size: Size, warnings: list[str]) -> Material:
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
    mask = _padded_mask(keep, size) if request.mask is not None else np.zeros(size[::-1], np.float32)
    keeps = np.broadcast_to(mask, (len(shown), 1, *mask.shape)).copy()
    return Material(shown.frames.copy(), keeps, start=request.strength is not None, rate=given.rate)


def _padded_mask(keep: NDArray[np.float32], size: Size) -> NDArray[np.float32]:
    """The mask of what was padded to a shape, at its size; a pixel is known if all that it covers is; so are bars."""
    height, width = keep.shape
    across, down = _shaped(width, height, size)
    whole = np.ones((down, across), np.float32)
    top, left = (down - height) // 2, (across - width) // 2
    whole[top : top + height, left : left + width] = keep
    for axis, (before, after) in enumerate(((down, size[1]), (across, size[0]))):
        if before != after:
            edges = np.arange(after + 1) * (before / after)
            low, high = np.floor(edges[:-1]).astype(int), np.ceil(edges[1:]).astype(int)
            parts = [whole.take(range(a, b), axis).min(axis) for a, b in zip(low, high, strict=True)]
            whole = np.stack(parts, axis=axis)
    return whole


def _shaped(width: int, height: int, size: Size) -> Size:
    """The smallest canvas of a size's shape that holds a picture."""
    return max(width, -(-height * size[0] // size[1])), max(height, -(-width * size[1] // size[0]))


def _empty(frames: int, size: Size) -> NDArray[np.float32]:
    return np.full((frames, 4, size[1], size[0]), -1, np.float32)


def _nothing(frames: int, size: Size) -> NDArray[np.float32]:
    return np.zeros((frames, 1, size[1], size[0]), np.float32)


def _picture(source: Any, size: Size, warnings: list[str]) -> NDArray[np.float32]:
    image = source if isinstance(source, Image) else Image.read(source)
    return _sized(Video(image.pixels[None], 1.0), size, warnings, "the picture").frames[0]


def _read(source: Any, rate: float | None) -> Video:
    if isinstance(source, Video):
        return source if rate is None else source.at_rate(rate)
    return Video.read(source, rate)


def _clip(given: Video, size: Size, warnings: list[str]) -> Video:
    if len(given) > LONGEST:
        raise InputError(f"the clip has {len(given)} frames; at most {LONGEST} are taken: cut it")
    return _sized(given, size, warnings)


def _sized(video: Video, size: Size, warnings: list[str], what: str = "the clip") -> Video:
    """A clip of the size, padded with nothing where the given one has another shape."""
    if (video.width, video.height) == size:
        return video
    shape = _shaped(video.width, video.height, size)
    padded = "" if shape == (video.width, video.height) else ", bars of nothing beside it"
    shown = f"{video.width} x {video.height} pixels is shown at {size[0]} x {size[1]}"
    warnings.append(f"{what} of {shown}{padded}")
    return video.padded(*shape).resize(*size)
