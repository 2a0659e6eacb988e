"""Moving pictures: Video is float32 [T, 4, H, W] in [-1, 1] with premultiplied alpha, at a rate in frames/s.

Cutting, joining, resizing and other rates; files are in `video_files`. Loads no torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from text2x.errors import InputError
from text2x.files import write_bytes
from text2x.media import Image

RATES = (0.1, 240.0)  # frames/s


@dataclass(frozen=True, eq=False)
class Video:
    """Frames of one size, shown one after the other; `loops` says whether players begin anew at the end."""

    frames: np.ndarray  # [T, 4, H, W] float32 in [-1, 1], premultiplied RGBA; read-only
    rate: float  # frames/s
    loops: bool = True

    def __post_init__(self) -> None:
        frames = np.array(self.frames, dtype=np.float32)
        if frames.ndim != 4 or frames.shape[1] != 4 or 0 in frames.shape:
            raise ValueError(f"a video is [T, 4, H, W], got {list(frames.shape)}")
        if not np.isfinite(frames).all():
            raise InputError("the video holds values that are not finite; lower the guidance or take more steps")
        if not RATES[0] <= self.rate <= RATES[1]:
            raise InputError(f"the rate is {self.rate:g} frames/s; it must be from {RATES[0]:g} to {RATES[1]:g}")
        frames.flags.writeable = False
        object.__setattr__(self, "frames", frames)

    @classmethod
    def of(cls, pictures: Sequence[Image], rate: float, loops: bool = True) -> Video:
        """Pictures of one size as frames; none, or pictures of several sizes, raise InputError."""
        if not pictures:
            raise InputError("a video needs at least one frame")
        sizes = {(each.width, each.height) for each in pictures}
        if len(sizes) > 1:
            shown = ", ".join(f"{width}x{height}" for width, height in sorted(sizes))
            raise InputError(f"the frames have several sizes ({shown}); a video has one: resize them")
        return cls(np.stack([each.pixels for each in pictures]), rate, loops)

    @property
    def width(self) -> int:
        """Pixels from left to right."""
        return self.frames.shape[3]

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.frames.shape[2]

    @property
    def seconds(self) -> float:
        """How long it takes to show every frame once."""
        return len(self) / self.rate

    def __len__(self) -> int:
        return len(self.frames)

    def pictures(self) -> list[Image]:
        """The frames as pictures."""
        return [Image(frame) for frame in self.frames]

    # Editing

    def at_rate(self, rate: float) -> Video:
        """What is shown at 0, 1/rate, 2/rate, ... seconds: frames are left out or repeated, the time stays."""
        count = max(1, math.floor(len(self) * rate / self.rate + 0.5))
        places = np.floor(np.arange(count) * (self.rate / rate) + 1e-6).astype(np.int64)
        return Video(self.frames[np.minimum(places, len(self) - 1)], rate, self.loops)

    def resize(self, width: int, height: int | None = None, sharp: bool = False) -> Video:
        """Another size, frame by frame as pictures are resized; `sharp` repeats or drops whole pixels."""
        resized = [picture.resize(width, height, sharp).pixels for picture in self.pictures()]
        return replace(self, frames=np.stack(resized))

    def crop(self, left: int, top: int, width: int, height: int) -> Video:
        """A part of every frame; one that does not lie inside raises InputError."""
        inside = left >= 0 and top >= 0 and left + width <= self.width and top + height <= self.height
        if not inside or width < 1 or height < 1:
            part = f"{width} x {height} pixels from {left}, {top}"
            raise InputError(f"{part} do not lie within {self.width} x {self.height}; choose a smaller part")
        return replace(self, frames=self.frames[:, :, top : top + height, left : left + width])

    def square(self, pad: bool = False) -> Video:
        """The middle of every frame as a square, or, with `pad`, the whole of it with transparent bars."""
        side = max(self.width, self.height) if pad else min(self.width, self.height)
        if not pad:
            return self.crop((self.width - side) // 2, (self.height - side) // 2, side, side)
        return self.padded(side, side)

    def padded(self, width: int, height: int) -> Video:
        """The whole of every frame in the middle of a canvas of that size or larger, transparent bars around it."""
        if width < self.width or height < self.height:
            sizes = f"{width} x {height} pixels is smaller than the video's {self.width} x {self.height}"
            raise InputError(f"a canvas of {sizes}; resize it")
        left, top = (width - self.width) // 2, (height - self.height) // 2
        frames = np.full((len(self), 4, height, width), -1, np.float32)
        frames[:, :, top : top + self.height, left : left + self.width] = self.frames
        return replace(self, frames=frames)

    def trim(self, begin: float = 0.0, seconds: float | None = None) -> Video:
        """The frames from `begin` seconds on, for so many seconds or to the end; none there raises InputError."""
        first = math.floor(begin * self.rate + 0.5)
        last = len(self) if seconds is None else first + math.floor(seconds * self.rate + 0.5)
        if begin < 0 or first >= len(self) or last <= first:
            asked = f"from {begin:g} s on" if seconds is None else f"from {begin:g} s on for {seconds:g} s"
            raise InputError(f"no frame lies {asked}; the video takes {self.seconds:.2f} s at {self.rate:g} frames/s")
        return replace(self, frames=self.frames[first:last], loops=False)

    def join(self, *others: Video) -> Video:
        """This one and then the others; they are brought to this one's rate, and must have its size."""
        for other in others:
            if (other.width, other.height) != (self.width, self.height):
                sizes = f"{self.width} x {self.height} and {other.width} x {other.height} pixels"
                raise InputError(f"videos of {sizes} cannot be joined; resize one")
        at_one_rate = [other if other.rate == self.rate else other.at_rate(self.rate) for other in others]
        return replace(self, frames=np.concatenate([self.frames, *(other.frames for other in at_one_rate)]))

    def reverse(self) -> Video:
        """The last frame first."""
        return replace(self, frames=self.frames[::-1])

    def ping_pong(self) -> Video:
        """Forwards and then backwards, without showing either end twice: 2T - 2 frames that loop."""
        return replace(self, frames=np.concatenate([self.frames, self.frames[-2:0:-1]]), loops=True)

    # Files

    def encode(
        self, format: str = "webp", metadata: Mapping[str, Any] | None = None, background: str = "white"
    ) -> bytes:
        """The bytes of a webp, png, gif, mp4 or webm; `background` is for mp4, which has no transparency."""
        from text2x import video_files

        return video_files.encode(self, format, metadata, background)

    def save(self, path: str | Path, metadata: Mapping[str, Any] | None = None, background: str = "white") -> None:
        """Write the file whole or not at all; its suffix names the format: .webp, .png, .gif, .mp4 or .webm."""
        from text2x import video_files

        path = Path(path)
        if path.suffix.lower().removeprefix(".") not in video_files.FORMATS:
            raise InputError(f"cannot tell the format of {path}; end the name in {video_files.SUFFIXES}")
        write_bytes(path, self.encode(path.suffix, metadata, background))

    @classmethod
    def read(cls, path: str | Path, rate: float | None = None) -> Video:
        """A file of moving pictures; see `video_files.read`."""
        from text2x import video_files

        return video_files.read(path, rate)


def read_metadata(path: str | Path) -> dict[str, Any]:
    """What text2x wrote into a file of moving pictures; empty if there is nothing."""
    from text2x import video_files

    return video_files.read_metadata(path)
