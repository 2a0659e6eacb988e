"""Files of moving pictures: which formats there are, what each of them keeps, reading any of them, and metadata.

WebP and PNG keep transparency and every value; GIF has 255 colours a frame and hard edges; WebM is lossy and keeps
transparency; MP4 lies on a background. Loads no torch.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from PIL import ExifTags, ImageSequence

from text2x.errors import InputError
from text2x.media import MAX_PIXELS, UNREADABLE, Image, exif_of, png_text_of, reason_of
from text2x.moving import RATES, Video
from text2x.video_streams import STREAM_FORMATS, Shot, encode_stream, stream_rate, stream_shots, stream_tags

ANIMATED = {"webp": "WEBP", "png": "PNG", "gif": "GIF"}
FORMATS = (*ANIMATED, *STREAM_FORMATS)
SUFFIXES = ".webp, .png, .gif, .mp4 or .webm"
MAX_FRAMES = 10_000  # of a file that is read
MAX_VALUES = 16 * MAX_PIXELS  # pixels of all frames of a file that is read
COLOURS = 255  # of a GIF's frame, beside the one that stands for transparent
DEFAULT_MILLISECONDS = 100  # of a frame whose file does not say how long it is shown
UNITS = {"GIF": 0.010, "WEBP": 0.001, "PNG": 0.001}  # seconds that a format counts in
UNEVEN = 0.02  # of a frame's time: streams whose frames differ by more have no one rate
BEGINNINGS = (b"\x89PNG", b"GIF8", b"RIFF")  # of the files that PIL reads
EPSILON = 1e-6  # seconds; times are sums of rounded ones


class UnevenTimesError(InputError):
    """A file whose frames are shown for unequal times, read without a rate."""

    def __init__(self, message: str, file: Path) -> None:
        super().__init__(message)
        self.file = file


# Writing


def format_of(name: str) -> str:
    """A format by its name or suffix; an unknown one raises InputError."""
    found = name.lower().removeprefix(".")
    if found not in FORMATS:
        raise InputError(f"cannot write a video as {name!r}; there are {', '.join(FORMATS)}")
    return found


def encode(
    video: Video, format: str = "webp", metadata: Mapping[str, Any] | None = None, background: str = "white"
) -> bytes:
    """The bytes of a file; `losses` says what its format does not keep. `background` is for mp4, and edges in gif."""
    kind = format_of(format)
    if kind in STREAM_FORMATS:
        pictures = video.pictures() if kind == "webm" else [each.composite(background) for each in video.pictures()]
        frames = [each.to_uint8() for each in pictures]
        if kind == "mp4":
            frames = [np.pad(each, ((0, each.shape[0] % 2), (0, each.shape[1] % 2), (0, 0)), "edge") for each in frames]
        return encode_stream(frames, video.rate, kind, metadata)
    return _encode_animated(video, ANIMATED[kind], metadata, background)


def losses(video: Video, format: str) -> list[str]:
    """What a file of this format will not keep of the video, one line each; for the warnings of a command."""
    kind, found = format_of(format), []
    alpha = (video.frames[:, 3] + 1) / 2
    clear, soft = bool((alpha < 1 - 0.5 / 255).any()), bool(((alpha > 0.5 / 255) & (alpha < 1 - 0.5 / 255)).any())
    if kind == "mp4" and clear:
        found.append("MP4 holds no transparency: the video lies on a background; webm, webp and png keep it")
    if kind == "mp4" and (video.width % 2 or video.height % 2):
        even = f"{video.width + video.width % 2} x {video.height + video.height % 2}"
        found.append(f"MP4 needs even sizes: {video.width} x {video.height} became {even}, the edge repeated")
    if kind == "gif":
        edges = " and hard edges" if soft else ""
        found.append(f"GIF has {COLOURS} colours a frame{edges}; webp and png keep everything")
        if abs(round(100 / video.rate) / (100 / video.rate) - 1) > UNEVEN:
            found.append(f"GIF counts hundredths of a second: frames of {video.rate:g}/s are shown for unequal times")
    return found


def _encode_animated(video: Video, kind: str, metadata: Mapping[str, Any] | None, background: str) -> bytes:
    pictures = [each.to_pil() for each in video.pictures()]
    options: dict[str, Any] = {"format": kind, "save_all": True, "duration": _durations(video, kind)}
    options["loop"] = 0 if video.loops else 1
    if kind == "PNG":
        options |= {"pnginfo": png_text_of(metadata), "blend": 0, "default_image": False}
    elif kind == "WEBP":
        options |= {"lossless": True, "quality": 80, "method": 2, "exact": False}
        options |= {} if metadata is None else {"exif": exif_of(metadata, kind)}
    else:
        pictures = [_few_colours(each, background) for each in video.pictures()]
        options |= {"disposal": 2, "transparency": COLOURS, "optimize": False}
        options |= {} if video.loops else {"loop": None}
        options |= {} if metadata is None else {"comment": json.dumps(metadata).encode("ascii")}
    buffer = io.BytesIO()
    options = {name: value for name, value in options.items() if value is not None}
    pictures[0].save(buffer, append_images=pictures[1:], **options)
    return buffer.getvalue()


def _durations(video: Video, kind: str) -> list[int]:
    """Milliseconds of each frame; rounded so that the whole takes its time. A GIF counts hundredths of a second."""
    unit = 10 if kind == "GIF" else 1
    ends = [round(number * 1000 / video.rate / unit) * unit for number in range(len(video) + 1)]
    return [max(unit, end - begin) for begin, end in zip(ends, ends[1:], strict=False)]


def _few_colours(picture: Image, background: str) -> PIL.Image.Image:
    """A frame of a GIF: edges lie on the background; what is mostly transparent has the last place of the palette."""
    clear = picture.pixels[3] < 0
    flat = picture.composite(background).to_pil().convert("RGB").quantize(COLOURS, dither=PIL.Image.Dither.NONE)
    flat.paste(COLOURS, mask=PIL.Image.fromarray(clear))
    return flat


# Reading


def read(path: str | Path, rate: float | None = None) -> Video:
    """A video file; with a `rate`, the frames shown at that many times a second from the first one on.

    Without one, a file whose frames are shown for unequal times raises InputError, as do files that are damaged or
    longer than fits into memory.
    """
    path = _regular(path)
    _check_rate(rate)
    kept: list[Shot] = list(checked_length(path, shots(path)))
    if rate is None:
        rate, straights = _one_rate(path, kept), [shot.straight for shot in kept]
    else:
        straights = list(sampled(kept, rate))
    frames = np.stack([Image.from_uint8(straight).pixels for straight in straights])
    return Video(frames, rate, _loops(path))


def shots(path: str | Path) -> Iterator[Shot]:
    """The frames of any video file one by one, in little memory; what is damaged raises InputError on the way."""
    path = _regular(path)
    if not _is_animated(path):
        yield from stream_shots(path)
        return
    with _opened(path) as picture:
        yield from animated_shots(picture, path)


def sampled(
    given: Iterable[Shot], rate: float, most: int | None = None, slack: float = EPSILON
) -> Iterator[np.ndarray]:
    """What is shown at 0, 1/rate, 2/rate, ... seconds, [H, W, 4] uint8; at most `most` frames, at least one.

    A frame that begins up to `slack` seconds later counts as shown already: times in files are rounded.
    """
    count, last, end = 0, None, 0.0
    for shot in given:
        while last is not None and count / rate < shot.begin - slack:
            yield last
            count += 1
            if most is not None and count >= most:
                return
        last, end = shot.straight, shot.begin + shot.seconds
    while last is not None and (count == 0 or count + 0.5 < end * rate + EPSILON):
        yield last
        count += 1
        if most is not None and count >= most:
            return


def checked_length(path: Path, given: Iterable[Shot]) -> Iterator[Shot]:
    """The same frames, as long as they fit into memory: an endless file ends in an InputError."""
    pixels = 0
    for count, shot in enumerate(given, 1):
        height, width = shot.straight.shape[:2]
        pixels += height * width
        if count > MAX_FRAMES or pixels > MAX_VALUES:
            size = f"more than {count - 1:,} frames of {width} x {height} pixels"
            raise InputError(f"{path} has {size}, which is too much to read: shorten or shrink it")
        yield shot


def read_metadata(path: str | Path) -> dict[str, Any]:
    """What text2x wrote into a video file; empty if there is nothing."""
    path = _regular(path)
    if not _is_animated(path):
        texts: list[Any] = [stream_tags(path).get("text2x")]
    else:
        with _opened(path) as picture:
            texts = [getattr(picture, "text", {}).get("text2x"), picture.info.get("comment")]
            texts.append(picture.getexif().get(ExifTags.Base.ImageDescription))
    for text in texts:
        try:
            values = json.loads(text) if text else None
        except ValueError:
            continue
        if isinstance(values, dict):
            return values
    return {}


def _one_rate(path: Path, kept: list[Shot]) -> float:
    """Frames/s of a file that has one rate."""
    if _is_animated(path):
        with _opened(path) as picture:
            unit = UNITS.get(picture.format or "", 0.001)
        lengths, stated = [shot.seconds for shot in kept], None
    else:
        begins = [shot.begin for shot in kept]
        lengths = [end - begin for begin, end in zip(begins, begins[1:], strict=False)] or [kept[0].seconds]
        unit, stated = 0.001, stream_rate(path)
    usual = sum(lengths) / len(lengths)
    if max(lengths) - min(lengths) > 1.01 * unit + UNEVEN * usual or usual <= 0:
        shown = f"{1000 * min(lengths):.0f} to {1000 * max(lengths):.0f} ms"
        message = f"{path} shows its frames for {shown} each; name one rate for all, such as 12 (--fps 12)"
        raise UnevenTimesError(message, path)
    measured = 1 / usual
    rate = stated if stated and abs(stated / measured - 1) < UNEVEN else measured
    return min(max(rate, RATES[0]), RATES[1])


def _check_rate(rate: float | None) -> None:
    if rate is not None and not RATES[0] <= rate <= RATES[1]:
        raise InputError(f"the rate is {rate:g} frames/s; it must be from {RATES[0]:g} to {RATES[1]:g}")


def _regular(path: str | Path) -> Path:
    """The path of a file that has an end: no folder, pipe or device."""
    path = Path(path)
    try:
        if path.is_file():
            return path
        there = path.exists()
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    raise InputError(f"{path} is no file, so it may have no end; give a file" if there else f"no such file: {path}")


def _is_animated(path: Path) -> bool:
    """Whether PIL is to read it: by its first bytes, or by a suffix that says so."""
    try:
        with path.open("rb") as stream:
            begin = stream.read(12)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    riff = begin.startswith(b"RIFF") and begin[8:] != b"WEBP"
    return (begin.startswith(BEGINNINGS) and not riff) or path.suffix.lower().removeprefix(".") in ANIMATED


def animated_shots(picture: PIL.Image.Image, name: str | Path) -> Iterator[Shot]:
    """The frames of an opened WebP, PNG or GIF; `name` is for what is said of a damaged one."""
    begin, count = 0.0, getattr(picture, "n_frames", 1)
    if count > MAX_FRAMES or picture.width * picture.height > MAX_PIXELS:
        size = f"{count} frames of {picture.width} x {picture.height} pixels"
        raise InputError(f"{name} has {size}, which is too much to read: shorten or shrink it")
    try:
        for frame in ImageSequence.Iterator(picture):
            straight = np.array(frame.convert("RGBA"))  # decodes it, and its duration with it
            seconds = float(frame.info.get("duration") or DEFAULT_MILLISECONDS) / 1000
            yield Shot(straight, begin, seconds)
            begin += seconds
    except UNREADABLE as error:
        raise InputError(f"cannot read {name}: {reason_of(error)}") from error


def _loops(path: Path) -> bool:
    """Whether the file asks players to begin anew; streams do not say."""
    if not _is_animated(path):
        return False
    with _opened(path) as picture:
        return picture.info.get("loop", 1) == 0


def _opened(path: Path) -> PIL.Image.Image:
    """The file's header, checked; its pixels are not decoded yet."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
            return PIL.Image.open(path, formats=("PNG", "WEBP", "GIF"))
    except PIL.UnidentifiedImageError as error:
        raise InputError(f"{path} is no animated WebP, PNG or GIF") from error
    except UNREADABLE as error:
        raise InputError(f"cannot read {path}: {reason_of(error)}") from error
