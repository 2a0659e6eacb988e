"""Files of sound: reading any usual format, writing whole or piece by piece, and the metadata in a format's own tags.

Formats and their encoders are in `audio_encoders`. Nothing but the named file is opened: lists that lead to other
files or addresses are not read. Loads no torch.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from text2x.audio import Audio
from text2x.audio_encoders import ALIASES, FORMATS, AudioWriter
from text2x.errors import InputError
from text2x.files import write_bytes, written_aside

MOST_VALUES = 2**27  # samples of all channels together that are read: 512 MiB, 46 minutes of stereo at 24 kHz
PIECE = 1 << 13  # frames read at a time
SOUNDFILE = (b"RIFF", b"RF64", b"fLaC", b"OggS", b"FORM", b"caff", b".snd")  # how files begin that libsndfile reads
UNKNOWN_FRAMES = 2**48  # libsndfile gives a larger number where a stream's header says nothing
HEADERLESS = {".g722": "g722", ".gsm": "gsm", ".ulaw": "mulaw", ".alaw": "alaw"}  # suffix -> FFmpeg's name
# What FFmpeg may take a file for: media that hold their sound themselves. No playlists, no descriptions of streams.
DEMUXERS = (
    "aac,ac3,adts,aiff,alaw,amr,ape,asf,au,avi,caf,eac3,flac,flv,g722,gsm,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,"
    "mp3,mpeg,mpegts,mulaw,ogg,tta,voc,w64,wav,wv"
)


def encode(
    audio: Audio,
    format: str = "wav",
    metadata: Mapping[str, Any] | None = None,
    bits: int | None = None,
    kilobits: int | None = None,
) -> bytes:
    """The bytes of a file. `bits` a sample: 16, 24 or (wav, pcm) 32 for floats; `kilobits` a second of lossy formats.

    pcm is little-endian without a header and holds no metadata.
    """
    buffer = io.BytesIO()
    writer = AudioWriter(format, audio.rate, audio.channels, metadata, bits, kilobits, audio.frames, buffer)
    writer.write(audio.samples)
    writer.close()
    return buffer.getvalue()


def save(
    audio: Audio,
    path: str | Path,
    metadata: Mapping[str, Any] | None = None,
    bits: int | None = None,
    kilobits: int | None = None,
) -> None:
    """Write the file whole or not at all; its suffix names the format."""
    write_bytes(Path(path), encode(audio, _format_of_path(path), metadata, bits, kilobits))


def stream(
    pieces: Iterable[Audio],
    format: str = "wav",
    metadata: Mapping[str, Any] | None = None,
    bits: int | None = None,
    kilobits: int | None = None,
    frames: int | None = None,
) -> Iterator[bytes]:
    """The bytes of a file as its pieces come, without seams: one encoder runs through all of them.

    With `frames`, their number, known beforehand a wav file is that of `encode` byte for byte; without it its header
    says that the length is unknown, and so does that of flac in any case. The samples are the same.
    """
    writer = None
    for piece in pieces:
        if writer is None:
            writer = AudioWriter(format, piece.rate, piece.channels, metadata, bits, kilobits, frames)
        if (piece.rate, piece.channels) != (writer.rate, writer.channels):
            raise InputError(
                f"a piece of {piece.rate} Hz and {piece.channels} channels does not go on from one of"
                f" {writer.rate} Hz and {writer.channels}; resample it"
            )
        if data := writer.write(piece.samples):
            yield data
    if writer is not None and (data := writer.close()):
        yield data


def save_stream(
    pieces: Iterable[Audio],
    path: str | Path,
    metadata: Mapping[str, Any] | None = None,
    bits: int | None = None,
    kilobits: int | None = None,
) -> float:
    """Write pieces as they come, in little memory, and return the seconds; the file is the one that `save` writes.

    It appears when the last piece is written, or not at all. Without any piece InputError is raised.
    """
    name, frames, writer = _format_of_path(path), 0, None
    with written_aside(Path(path)) as aside, aside.open("w+b") as sink:
        for piece in pieces:
            if writer is None:
                writer = AudioWriter(name, piece.rate, piece.channels, metadata, bits, kilobits, None, sink)
            writer.write(piece.samples)
            frames += piece.frames
        if writer is None:
            raise InputError(f"there is no sound to write to {path}")
        writer.close()
    return frames / writer.rate


def _format_of_path(path: str | Path) -> str:
    suffix = Path(path).suffix.lower().removeprefix(".")
    if ALIASES.get(suffix, suffix) not in FORMATS:
        raise InputError(f"cannot tell the format of {path}; end the name in .{', .'.join(FORMATS)}")
    return suffix


# Reading


def read(path: str | Path, start: float = 0.0, seconds: float | None = None) -> Audio:
    """The sound of a file (wav, flac, ogg, mp3, m4a, g722, a video's, ...), or `seconds` of it from `start`.

    What is damaged, holds no sound or is too long for memory raises InputError.
    """
    import soundfile

    path = Path(path)
    _check_file(path)
    if start < 0 or (seconds is not None and not seconds > 0):
        raise InputError(f"cannot read {seconds} s from {start} s on; start at 0 or later, and read more than 0 s")
    with path.open("rb") as stream:
        known = stream.read(4) in SOUNDFILE and path.suffix.lower() not in HEADERLESS
    try:
        file = soundfile.SoundFile(str(path)) if known else None
    except soundfile.LibsndfileError:
        file = None  # FFmpeg knows it, or will tell what is wrong
    if file is None or file.frames > UNKNOWN_FRAMES:
        return _read_by_ffmpeg(path, start, seconds)
    with file:
        return _read_by_soundfile(path, file, start, seconds)


def _check_file(path: Path) -> None:
    try:
        size = path.stat().st_size if path.is_file() else -1
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise InputError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    if size <= 0:
        raise InputError(f"{path} is empty; copy it again" if size == 0 else f"there is no file {path}")


def _read_by_soundfile(path: Path, file: Any, start: float, seconds: float | None) -> Audio:
    import soundfile

    rate, channels = file.samplerate, file.channels
    first = round(start * rate)
    wanted = file.frames - first if seconds is None else min(file.frames - first, round(seconds * rate))
    if wanted <= 0:
        _nothing(path, start, file.frames / rate)
    _check_length(path, wanted, rate, channels)
    pieces, count, fault = [], 0, file.format == "FLAC"
    try:
        if first:
            file.seek(first)
        while count < wanted:
            piece = file.read(min(PIECE, wanted - count), dtype="float32", always_2d=True)
            if not len(piece):
                break
            pieces.append(piece)
            count += len(piece)
    except soundfile.LibsndfileError:
        fault = True
    if not count or (count < wanted and fault):
        raise InputError(f"{path} is damaged: {count / rate:.2f} of {wanted / rate:.2f} s can be read; copy it again")
    return _audio(path, np.concatenate(pieces).T, rate)


def _read_by_ffmpeg(path: Path, start: float, seconds: float | None) -> Audio:
    import av
    from av.error import FFmpegError

    try:
        with path.open("rb") as file, _opened(path, file) as container:
            if not container.streams.audio or not getattr(container.streams.audio[0], "rate", 0):  # none: no decoder
                raise InputError(f"{path} holds no sound that can be decoded; give a file of sound, as wav or flac")
            source = container.streams.audio[0]
            rate = int(source.rate)
            channels = min(8, source.channels)
            layout = {1: "mono", 2: "stereo"}.get(channels) or source.layout
            resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
            first = round(start * rate)
            last = None if seconds is None else first + round(seconds * rate)
            pieces, count = [], 0
            for frame in container.decode(source):
                for made in resampler.resample(frame):
                    pieces.append(made.to_ndarray())
                    count += pieces[-1].shape[1]
                _check_length(path, count if last is None else min(count, last), rate, channels)
                if last is not None and count >= last:
                    break
            pieces += [made.to_ndarray() for made in resampler.resample(None)]
    except FFmpegError as error:
        raise InputError(f"{path} cannot be read as sound: {_reason(error)}; convert it to wav or flac") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    samples = np.concatenate(pieces, axis=1) if pieces else np.zeros((channels, 0), np.float32)
    if samples.shape[1] <= first:
        _nothing(path, start, samples.shape[1] / rate)
    return _audio(path, samples[:, first:last], rate)


def _opened(path: Path, file: Any) -> Any:
    """The file as a container; FFmpeg may open nothing else on its behalf."""
    import av

    options = {"format_whitelist": DEMUXERS, "protocol_whitelist": "none"}
    return av.open(file, format=HEADERLESS.get(path.suffix.lower()), container_options=options)


def _audio(path: Path, samples: np.ndarray, rate: int) -> Audio:
    if not np.isfinite(samples).all():
        raise InputError(f"{path} holds samples that are not finite; write it again")
    return Audio(samples, rate)


def _check_length(path: Path, frames: int, rate: int, channels: int) -> None:
    if frames * channels > MOST_VALUES:
        most = MOST_VALUES / channels / rate / 60
        raise InputError(f"{path} is too long: at most {most:.0f} minutes of it are read at once; cut it")


def _nothing(path: Path, start: float, seconds: float) -> None:
    raise InputError(f"{path} has no sound from {start:g} s on; it lasts {seconds:.2f} s")


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return text.splitlines()[0] if text else type(error).__name__


# Metadata


def read_metadata(path: str | Path) -> dict[str, Any]:
    """What text2x wrote into the file; of another program its tags as they are; empty if there is nothing."""
    from av.error import FFmpegError

    path = Path(path)
    _check_file(path)
    try:
        with path.open("rb") as file, _opened(path, file) as container:
            tags = {**container.metadata}
            for source in container.streams.audio[:1]:
                tags |= source.metadata
    except FFmpegError as error:
        raise InputError(f"cannot read the metadata of {path}: {_reason(error)}") from error
    tags = {key.lower(): value for key, value in tags.items()}
    for name in ("text2x", "comment"):
        try:
            values = json.loads(tags.get(name, ""))
        except ValueError:
            continue
        if isinstance(values, dict):
            return values
    return tags
