"""Moving pictures: Video is float32 [T, 4, H, W] in [-1, 1] with premultiplied alpha, at a rate in frames/s.

Written as animated WebP or PNG, which keep transparency and every value, or as GIF, which has 255 colours a frame and
no soft edges. Loads no torch.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from PIL import ExifTags, ImageSequence

from text2x.errors import InputError
from text2x.files import write_bytes
from text2x.media import MAX_PIXELS, UNREADABLE, Image, exif_of, png_text_of, reason_of

FORMATS = {"webp": "WEBP", "png": "PNG", "gif": "GIF"}
SUFFIXES = ".webp, .png or .gif"
MAX_FRAMES = 10_000  # of a file that is read
MAX_VALUES = 16 * MAX_PIXELS  # pixels of all frames of a file that is read
RATES = (0.1, 240.0)  # frames/s
COLOURS = 255  # of a GIF's frame, beside the one that stands for transparent
DEFAULT_MILLISECONDS = 100  # of a frame whose file does not say how long it is shown


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

    def encode(self, format: str = "webp", metadata: Mapping[str, Any] | None = None) -> bytes:
        """The bytes of a file: webp and png keep transparency and every value, gif hard edges and 255 colours."""
        kind = FORMATS.get(format.lower().removeprefix("."))
        if kind is None:
            raise InputError(f"cannot write a video as {format!r}; there are {', '.join(FORMATS)}")
        pictures = [each.to_pil() for each in self.pictures()]
        options: dict[str, Any] = {"format": kind, "save_all": True, "duration": self._durations(kind)}
        options["loop"] = 0 if self.loops else 1
        if kind == "PNG":
            options |= {"pnginfo": png_text_of(metadata), "blend": 0, "default_image": False}
        elif kind == "WEBP":
            options |= {"lossless": True, "quality": 80, "method": 2, "exact": False}
            options |= {} if metadata is None else {"exif": exif_of(metadata, kind)}
        else:
            pictures = [_few_colours(each) for each in self.pictures()]
            options |= {"disposal": 2, "transparency": COLOURS, "optimize": False}
            options |= {} if self.loops else {"loop": None}
            options |= {} if metadata is None else {"comment": json.dumps(metadata).encode("ascii")}
        buffer = io.BytesIO()
        options = {name: value for name, value in options.items() if value is not None}
        pictures[0].save(buffer, append_images=pictures[1:], **options)
        return buffer.getvalue()

    def _durations(self, kind: str) -> list[int]:
        """Milliseconds of each frame; rounded so that the whole takes its time. A GIF counts hundredths of a second."""
        unit = 10 if kind == "GIF" else 1
        ends = [round(number * 1000 / self.rate / unit) * unit for number in range(len(self) + 1)]
        return [max(unit, end - begin) for begin, end in zip(ends, ends[1:], strict=False)]

    def save(self, path: str | Path, metadata: Mapping[str, Any] | None = None) -> None:
        """Write the file whole or not at all; its suffix names the format: .webp, .png or .gif."""
        path = Path(path)
        if path.suffix.lower().removeprefix(".") not in FORMATS:
            raise InputError(f"cannot tell the format of {path}; end the name in {SUFFIXES}")
        write_bytes(path, self.encode(path.suffix, metadata))

    @classmethod
    def read(cls, path: str | Path) -> Video:
        """An animated WebP, PNG or GIF; frames of unequal durations are taken at their mean rate."""
        with _opened(path) as picture:
            count = getattr(picture, "n_frames", 1)
            if count > MAX_FRAMES or count * picture.width * picture.height > MAX_VALUES:
                size = f"{count} frames of {picture.width} x {picture.height} pixels"
                raise InputError(f"{path} has {size}, which is too much to read: shorten or shrink it")
            frames, milliseconds = [], 0.0
            try:
                for frame in ImageSequence.Iterator(picture):
                    frames.append(Image.from_pil(frame.convert("RGBA")).pixels)
                    milliseconds += float(frame.info.get("duration") or DEFAULT_MILLISECONDS)
            except UNREADABLE as error:
                raise InputError(f"cannot read {path}: {reason_of(error)}") from error
            loops = picture.info.get("loop", 1) == 0
        rate = min(max(1000 * len(frames) / milliseconds, RATES[0]), RATES[1])
        return cls(np.stack(frames), rate, loops)


def read_metadata(path: str | Path) -> dict[str, Any]:
    """What text2x wrote into an animated file; empty if there is nothing."""
    with _opened(path) as picture:
        texts: list[Any] = [getattr(picture, "text", {}).get("text2x"), picture.info.get("comment")]
        texts.append(picture.getexif().get(ExifTags.Base.ImageDescription))
    for text in texts:
        try:
            values = json.loads(text) if text else None
        except ValueError:
            continue
        if isinstance(values, dict):
            return values
    return {}


def _few_colours(picture: Image) -> PIL.Image.Image:
    """A frame of a GIF: edges lie on white, what is more than half transparent has the last place of the palette."""
    clear = picture.pixels[3] < 0
    flat = picture.composite("white").to_pil().convert("RGB").quantize(COLOURS, dither=PIL.Image.Dither.NONE)
    flat.paste(COLOURS, mask=PIL.Image.fromarray(clear))
    return flat


def _opened(path: str | Path) -> PIL.Image.Image:
    """The file's header, checked; its pixels are not decoded yet."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
            return PIL.Image.open(path, formats=("PNG", "WEBP", "GIF"))
    except PIL.UnidentifiedImageError as error:
        raise InputError(f"{path} is no animated WebP, PNG or GIF") from error
    except UNREADABLE as error:
        raise InputError(f"cannot read {path}: {reason_of(error)}") from error
