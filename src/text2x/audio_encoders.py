"""Formats of sound that are written, and AudioWriter, which encodes them piece by piece.

wav and pcm are written here, Ogg Vorbis by libsndfile, all else by FFmpeg's libraries (PyAV). The same sound gives the
same bytes. A sample n of b bits is n / 2^(b - 1). Loads no torch.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from text2x.audio import MOST_CHANNELS, check_rate, to_integers
from text2x.errors import InputError

MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
UNKNOWN_LENGTH = 0xFFFFFFFF  # of a wav file whose end is not known when it begins; players read to the end
LONGEST_TITLE = 300  # characters
PAGE_HEADER = 27  # bytes of an Ogg page, before its table of segments (RFC 3533, Sec. 6)
SERIAL = struct.pack("<I", 1)
VORBIS_PIECE = 1024  # frames
PAGE_MICROSECONDS = 100_000  # of an Ogg page: a stream's delay


@dataclass(frozen=True)
class AudioFormat:
    """A format that is written: its name, what encodes it and what it can hold."""

    name: str
    media_type: str
    container: str = ""  # FFmpeg's names
    codec: str = ""
    bits: tuple[int, ...] = ()  # that it can be written with; the first one where nothing is said
    rates: tuple[int, ...] = ()  # Hz; (): any. Another rate is brought to the next higher one
    channels: int = 2
    kilobits: tuple[int, int] = (0, 0)  # a second and channel: up to 24 kHz, above


FORMATS: Mapping[str, AudioFormat] = {
    each.name: each
    for each in (
        AudioFormat("wav", "audio/wav", bits=(16, 24, 32), channels=MOST_CHANNELS),
        AudioFormat("flac", "audio/flac", "flac", "flac", bits=(16, 24), channels=MOST_CHANNELS),
        AudioFormat("mp3", "audio/mpeg", "mp3", "libmp3lame", rates=MP3_RATES, kilobits=(64, 96)),
        AudioFormat("ogg", "audio/ogg", "ogg", "vorbis"),
        AudioFormat("opus", "audio/ogg", "ogg", "libopus", rates=OPUS_RATES, kilobits=(40, 64)),
        AudioFormat("aac", "audio/aac", "adts", "aac", rates=AAC_RATES, kilobits=(64, 96)),
        AudioFormat("pcm", "audio/pcm", bits=(16, 24, 32), channels=MOST_CHANNELS),
    )
}
ALIASES = {"wave": "wav", "vorbis": "ogg", "oga": "ogg", "raw": "pcm"}


def format_of(name: str) -> AudioFormat:
    """A format by its name or suffix; an unknown one raises InputError."""
    plain = name.lower().removeprefix(".")
    found = FORMATS.get(ALIASES.get(plain, plain))
    if found is None:
        raise InputError(f"cannot write sound as {name!r}; there are {', '.join(FORMATS)}")
    return found


def tags_of(metadata: Mapping[str, Any] | None) -> dict[str, str]:
    """Metadata as tags: the prompt or text as title, all of it as JSON under text2x, and what made it as encoder."""
    if metadata is None:
        return {}
    title = str(metadata.get("prompt") or metadata.get("text") or "")
    title = title if len(title) <= LONGEST_TITLE else title[: LONGEST_TITLE - 3] + "..."
    tags = {"title": " ".join(title.replace("\0", " ").split()), "text2x": json.dumps(metadata)}
    return {**tags, "encoder": f"text2x {metadata.get('version', '')}".rstrip()}


class Sink(Protocol):
    """Where bytes go; `seekable` ones have their header corrected at the end."""

    def write(self, data: Any, /) -> int:
        """Append bytes, or write over those that follow the place."""
        ...

    def seekable(self) -> bool:
        """Whether it can go back."""
        ...

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place."""
        ...

    def tell(self) -> int:
        """The place."""
        ...


class Pipe:
    """A sink that only goes forward; `take` gives what came since the last time."""

    def __init__(self) -> None:
        self.data, self.given = bytearray(), 0

    def write(self, data: Any, /) -> int:
        """Append bytes."""
        self.data += bytes(data)
        return len(data)

    def seekable(self) -> bool:
        """False: what was given is gone."""
        return False

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Goes nowhere: the end is the only place."""
        return self.tell()

    def tell(self) -> int:
        """How many bytes came."""
        return self.given + len(self.data)

    def take(self) -> bytes:
        """What came since the last time."""
        data = bytes(self.data)
        self.given += len(data)
        self.data.clear()
        return data


class Pages:
    """Ogg pages on their way to a sink; their serial number, which libsndfile draws from the clock, becomes 1."""

    def __init__(self, sink: Sink) -> None:
        self.sink, self.data, self.given = sink, bytearray(), 0

    def write(self, data: Any, /) -> int:
        """Take in bytes and hand on what pages are whole."""
        self.data += bytes(data)
        while len(self.data) >= PAGE_HEADER:
            count = self.data[PAGE_HEADER - 1]  # of segments, whose lengths follow
            size = PAGE_HEADER + count + sum(self.data[PAGE_HEADER : PAGE_HEADER + count])
            if len(self.data) < max(size, PAGE_HEADER + count):
                break
            page = bytes(self.data[:14]) + SERIAL + bytes(self.data[18:22]) + bytes(4) + bytes(self.data[26:size])
            self.sink.write(page[:22] + struct.pack("<I", _ogg_checksum(page)) + page[26:])
            self.given += size
            del self.data[:size]
        return len(data)

    def seekable(self) -> bool:
        """False: Ogg goes forward only."""
        return False

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Goes nowhere: the end is the only place."""
        return self.tell()

    def tell(self) -> int:
        """How many bytes came."""
        return self.given + len(self.data)


REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def _ogg_checksum(page: bytes) -> int:
    """CRC-32 of polynomial 04c11db7, neither reflected nor inverted (RFC 3533, Sec. 6), by way of the usual one."""
    usual = zlib.crc32(page.translate(REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{usual:032b}"[::-1], 2)


class Plain:
    """wav, and pcm without its header: little-endian integers or 32-bit floats, channels interleaved."""

    def __init__(
        self,
        sink: Sink,
        name: str,
        rate: int,
        channels: int,
        bits: int,
        frames: int | None,
        metadata: Mapping[str, Any] | None,
    ) -> None:
        self.sink, self.bits, self.width, self.num_bytes = sink, bits, channels * bits // 8, 0
        self.header = self._header(rate, channels, metadata) if name == "wav" else None
        if self.header is not None:
            size = None if frames is None else frames * self.width
            sink.write(self._sized(size))

    def _header(self, rate: int, channels: int, metadata: Mapping[str, Any] | None) -> bytes:
        """What lies between RIFF's size and the size of the data."""
        kind = 3 if self.bits == 32 else 1  # IEEE float, integers
        about = struct.pack("<HHIIHH", kind, channels, rate, rate * self.width, self.width, self.bits)
        tags = tags_of(metadata)
        named = {"INAM": tags.get("title"), "ICMT": tags.get("text2x"), "ISFT": tags.get("encoder")}
        listed = b"".join(_chunk(key, value.encode() + b"\0") for key, value in named.items() if value)
        return b"WAVE" + _chunk("fmt ", about) + (_chunk("LIST", b"INFO" + listed) if listed else b"") + b"data"

    def _sized(self, size: int | None) -> bytes:
        assert self.header is not None
        if size is None:
            return b"RIFF" + struct.pack("<I", UNKNOWN_LENGTH) + self.header + struct.pack("<I", UNKNOWN_LENGTH)
        whole = len(self.header) + 4 + size + size % 2
        if whole >= UNKNOWN_LENGTH:
            raise InputError(f"wav holds at most 4 GiB, not {whole:,} bytes; write flac, or a shorter sound")
        return b"RIFF" + struct.pack("<I", whole) + self.header + struct.pack("<I", size)

    def write(self, samples: np.ndarray) -> None:
        """Append samples."""
        data = _interleaved(samples, self.bits)
        self.num_bytes += len(data)
        self.sink.write(data)

    def close(self) -> None:
        """Fill up to an even length and tell it in the header where that can be done."""
        if self.header is None:
            return
        if self.num_bytes % 2:
            self.sink.write(b"\0")
        if self.sink.seekable():
            self.sink.seek(0)
            self.sink.write(self._sized(self.num_bytes))
            self.sink.seek(0, 2)


def _chunk(name: str, data: bytes) -> bytes:
    return name.encode() + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _interleaved(samples: np.ndarray, bits: int) -> bytes:
    if bits == 32:
        return samples.T.astype("<f4").tobytes()
    values = to_integers(samples, bits).T
    if bits == 16:
        return values.astype("<i2").tobytes()
    return np.ascontiguousarray(values.astype("<i4"))[..., None].view(np.uint8)[..., :3].tobytes()


class Vorbis:
    """Ogg Vorbis by libsndfile."""

    def __init__(self, sink: Sink, rate: int, channels: int, metadata: Mapping[str, Any] | None) -> None:
        import soundfile

        pages: Any = Pages(sink)
        self.file = soundfile.SoundFile(pages, "w", rate, channels, subtype="VORBIS", format="OGG")
        tags = tags_of(metadata)
        for name, value in {"title": tags.get("title"), "comment": tags.get("text2x")}.items():
            if value:
                setattr(self.file, name, value)
        if tags:
            self.file.software = tags["encoder"]
        self.rest = np.zeros((channels, 0), np.float32)

    def write(self, samples: np.ndarray) -> None:
        """Append samples; the encoder gets them in pieces of one size, on which its choices depend."""
        samples = np.concatenate([self.rest, np.clip(samples, -1, 1)], axis=1)
        whole = samples.shape[1] // VORBIS_PIECE * VORBIS_PIECE
        for start in range(0, whole, VORBIS_PIECE):
            self.file.write(samples[:, start : start + VORBIS_PIECE].T)
        self.rest = samples[:, whole:]

    def close(self) -> None:
        """Write what is left and the last page."""
        self.file.write(self.rest.T)
        self.file.close()


class Coded:
    """A format of FFmpeg's libraries, without its version in the file."""

    def __init__(
        self,
        sink: Sink,
        form: AudioFormat,
        rate: int,
        channels: int,
        bits: int,
        kilobits: int,
        metadata: Mapping[str, Any] | None,
    ) -> None:
        import av
        from av.codec.context import Flags

        options = {"fflags": "+bitexact"}
        options |= {"page_duration": str(PAGE_MICROSECONDS)} if form.container == "ogg" else {}
        options |= {"write_id3v2": "1"} if form.container == "adts" else {}
        self.container: Any = av.open(sink, "w", format=form.container, container_options=options)
        self.container.metadata.update(tags_of(metadata))
        layout = {1: "mono", 2: "stereo"}.get(channels) or f"{channels}c"
        lossless = form.name == "flac"
        self.stream: Any = self.container.add_stream(form.codec, rate=rate, layout=layout)
        self.stream.codec_context.flags |= Flags.bitexact
        if lossless:
            self.stream.codec_context.format = "s16" if bits == 16 else "s32"
        else:
            self.stream.bit_rate = kilobits * 1000
        self.rate, self.layout, self.bits, self.lossless, self.written = rate, layout, bits, lossless, 0

    def write(self, samples: np.ndarray) -> None:
        """Append samples."""
        import av

        if self.lossless:
            values = to_integers(samples, self.bits)
            values = values.astype(np.int16) if self.bits == 16 else values << 8
            data, kind = np.ascontiguousarray(values.T).reshape(1, -1), "s16" if self.bits == 16 else "s32"
        else:
            data, kind = np.ascontiguousarray(np.clip(samples, -1, 1), dtype=np.float32), "fltp"
        frame = av.AudioFrame.from_ndarray(data, format=kind, layout=self.layout)
        frame.sample_rate, frame.pts = self.rate, self.written
        self.written += samples.shape[1]
        self.container.mux(self.stream.encode(frame))

    def close(self) -> None:
        """Write what the encoder still holds."""
        self.container.mux(self.stream.encode(None))
        self.container.close()


Encoder = Plain | Vorbis | Coded


class AudioWriter:
    """Encodes piece by piece. Without a sink `write` and `close` return the bytes that are ready.

    Rates that the format has not are brought to the next higher one that it has. `frames` is the whole length if known.
    """

    def __init__(
        self,
        format: str,
        rate: int,
        channels: int = 1,
        metadata: Mapping[str, Any] | None = None,
        bits: int | None = None,
        kilobits: int | None = None,
        frames: int | None = None,
        sink: Sink | None = None,
    ) -> None:
        self.format, self.rate, self.channels, self.sink = format_of(format), rate, channels, sink or Pipe()
        check_rate(rate)
        bits = self._check(bits, kilobits)
        wanted = next((each for each in self.format.rates if each >= rate), None) or max(
            self.format.rates, default=rate
        )
        self.resampler: Any = None
        if wanted != rate:
            import soxr

            self.resampler = soxr.ResampleStream(rate, wanted, channels, dtype="float32", quality="HQ")
        if self.format.name in ("wav", "pcm"):
            self.encoder: Encoder = Plain(self.sink, self.format.name, rate, channels, bits, frames, metadata)
        elif self.format.name == "ogg":
            self.encoder = Vorbis(self.sink, rate, channels, metadata)
        else:
            kind = self.format.kilobits[wanted > 24_000] * channels
            self.encoder = Coded(self.sink, self.format, wanted, channels, bits, kilobits or kind, metadata)

    def write(self, samples: np.ndarray) -> bytes:
        """Take in samples [C, T]."""
        if samples.ndim != 2 or samples.shape[0] != self.channels:
            raise ValueError(f"pieces are [{self.channels}, T], got {list(samples.shape)}")
        if self.resampler is not None:
            samples = self._resampled(samples, last=False)
        if samples.shape[1]:
            self.encoder.write(samples)
        return self._taken()

    def close(self) -> bytes:
        """End the file; nothing can be written afterwards."""
        if self.resampler is not None:
            rest = self._resampled(np.zeros((self.channels, 0), np.float32), last=True)
            if rest.shape[1]:
                self.encoder.write(rest)
        self.encoder.close()
        return self._taken()

    def _resampled(self, samples: np.ndarray, last: bool) -> np.ndarray:
        piece = np.ascontiguousarray(samples.T, dtype=np.float32)
        return self.resampler.resample_chunk(piece, last=last).reshape(-1, self.channels).T

    def _taken(self) -> bytes:
        return self.sink.take() if isinstance(self.sink, Pipe) else b""

    def _check(self, bits: int | None, kilobits: int | None) -> int:
        """The bits that count; what the format cannot hold raises InputError."""
        form = self.format
        if not 1 <= self.channels <= form.channels:
            raise InputError(f"{form.name} holds 1 to {form.channels} channels, not {self.channels}; mix it to mono")
        if bits is not None and bits not in form.bits:
            able = f"{', '.join(map(str, form.bits))}" if form.bits else "no choice of bits"
            raise InputError(f"{form.name} cannot be written with {bits} bits a sample; it has {able}")
        if kilobits is not None and not (form.kilobits[0] and 8 <= kilobits <= 512):
            able = "takes 8 to 512" if form.kilobits[0] else "has no such setting"
            raise InputError(f"{form.name} cannot be written with {kilobits} kilobits a second; it {able}")
        return bits or (form.bits[0] if form.bits else 16)
