"""Streams of frames by FFmpeg: MP4 (H.264, opaque) and WebM (VP9, with alpha). Frames are [H, W, 4] uint8, straight.

Both are 4:2:0 in BT.709 at limited range, which players take. Nothing but the named file is opened. Loads no torch.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from text2x.audio_encoders import tags_of
from text2x.errors import InputError

BT709 = 1  # as matrix, primaries and transfer: ITU-T H.273, tables 2 to 4
LIMITED = 1  # range of FFmpeg's AVColorRange: 16 to 235
COARSER = (4, 16, 64, 256)  # pixels over which colours spread under what is transparent
# What FFmpeg may take a file for: media that hold their frames themselves. No playlists, no descriptions of streams.
DEMUXERS = "matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,avi,flv,asf,mpeg,mpegts,ogg,h264,hevc,ivf,y4m,yuv4mpegpipe"
ALPHA_DECODERS = {"vp8": "libvpx", "vp9": "libvpx-vp9"}  # FFmpeg's own decoders of these leave out the alpha


@dataclass(frozen=True)
class StreamFormat:
    """How a container's frames are coded."""

    container: str
    codec: str
    pixels: str
    options: Mapping[str, str]
    container_options: Mapping[str, str]


# Constant quality, near to what the eye tells apart; one thread, so that the bytes do not depend on the machine's.
STREAM_FORMATS: Mapping[str, StreamFormat] = {
    "mp4": StreamFormat(
        "mp4", "libx264", "yuv420p", {"crf": "14", "preset": "medium", "threads": "1"},
        {"movflags": "+use_metadata_tags"},
    ),
    "webm": StreamFormat(
        "webm", "libvpx-vp9", "yuva420p",
        {"crf": "14", "b:v": "0", "deadline": "good", "cpu-used": "2", "threads": "1", "auto-alt-ref": "0"}, {},
    ),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Shot:
    """One frame of a file and when it is shown."""

    straight: np.ndarray  # [H, W, 4] uint8, straight alpha
    begin: float  # seconds after the first frame
    seconds: float


def encode_stream(
    frames: Sequence[np.ndarray], rate: float, kind: str, metadata: Mapping[str, Any] | None = None
) -> bytes:
    """Frames [H, W, 4] as the bytes of a file, the same each time; mp4 drops the alpha and wants even sizes."""
    import av
    from av.codec.context import Flags

    form = STREAM_FORMATS[kind]
    buffer = io.BytesIO()
    options = {"fflags": "+bitexact", **form.container_options}
    with av.open(buffer, "w", format=form.container, container_options=options) as container:
        container.metadata.update(tags_of(metadata))
        shown = Fraction(rate).limit_denominator(1001)
        stream: Any = container.add_stream(form.codec, rate=shown, options=dict(form.options))
        stream.pix_fmt = form.pixels
        stream.height, stream.width = frames[0].shape[:2]
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = LIMITED
        context.flags |= Flags.bitexact
        for place, straight in enumerate(frames):
            coloured = _spread(straight) if kind == "webm" else straight
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(coloured), format="rgba")
            frame = frame.reformat(format=form.pixels, dst_colorspace="ITU709", dst_color_range="MPEG")
            frame.pts = place
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def _spread(straight: np.ndarray) -> np.ndarray:
    """Colours carried on under what is fully transparent, so that coding them together does not darken the edges."""
    empty = straight[..., 3] == 0
    if not empty.any() or empty.all():
        return straight
    result, picture = straight.copy(), PIL.Image.fromarray(straight).convert("RGBa")
    for factor in COARSER:
        coarse = picture.reduce(factor).resize(picture.size, PIL.Image.Resampling.BILINEAR)
        colours = np.asarray(coarse.convert("RGBA"))
        found = empty & (colours[..., 3] > 0)
        result[found, :3] = colours[found, :3]
        empty &= ~found
    return result


def stream_shots(path: Path) -> Iterator[Shot]:
    """The frames of the file's first video stream, upright, as they are decoded; InputError where that fails."""
    from av.error import FFmpegError

    count = 0
    try:
        with path.open("rb") as file, _opened(file) as container:
            if not container.streams.video:
                raise InputError(f"{path} holds no moving picture; give a video")
            source = container.streams.video[0]
            usual = float(1 / (source.average_rate or source.guessed_rate or Fraction(25)))
            first = None
            for frame in _decoded(container, source):
                time = count * usual if frame.time is None else float(frame.time)
                first = time if first is None else first
                length = float((frame.duration or 0) * (frame.time_base or 0)) or usual
                turned = np.rot90(frame.to_ndarray(format="rgba"), round(frame.rotation / 90))
                yield Shot(np.ascontiguousarray(turned), time - first, length)
                count += 1
    except FFmpegError as error:
        reason = (error.strerror or str(error)).splitlines()[0]
        after = f" after frame {count}" if count else ""
        raise InputError(f"{path} cannot be read as video{after}: {reason}; convert it to mp4") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    if count == 0:
        raise InputError(f"{path} holds no frame; convert it to mp4")


def stream_rate(path: Path) -> float | None:
    """Frames/s that the file's header gives, None where it says nothing."""
    from av.error import FFmpegError

    try:
        with path.open("rb") as file, _opened(file) as container:
            rate = container.streams.video[0].average_rate if container.streams.video else None
            return float(rate) if rate else None
    except FFmpegError:
        return None


def stream_tags(path: Path) -> dict[str, str]:
    """The file's tags, their names in small letters; empty where it cannot be read."""
    from av.error import FFmpegError

    try:
        with path.open("rb") as file, _opened(file) as container:
            return {name.lower(): value for name, value in container.metadata.items()}
    except FFmpegError as error:
        raise InputError(f"{path} cannot be read as video: {(error.strerror or str(error)).splitlines()[0]}") from error


def _opened(file: Any) -> Any:
    """The file as a container; FFmpeg may open nothing else on its behalf."""
    import av

    return av.open(file, container_options={"format_whitelist": DEMUXERS, "protocol_whitelist": "none"})


def _decoded(container: Any, source: Any) -> Iterator[Any]:
    """Frames with their alpha, where the stream has one."""
    import av

    decoder = ALPHA_DECODERS.get(source.codec_context.name)
    if source.metadata.get("alpha_mode") != "1" or decoder is None:
        yield from container.decode(source)
        return
    context = av.CodecContext.create(decoder, "r")
    for packet in container.demux(source):
        yield from context.decode(packet)  # type: ignore[attr-defined]
