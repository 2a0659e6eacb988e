"""Sound: Audio is float32 [C, T] in [-1, 1] at a rate in Hz; resampling, loudness, trimming, fades, joining. No torch.

Levels are in decibels: dBFS, where 0 is a sample of 1; loudness in LUFS (ITU-R BS.1770). Times are in seconds. Files
and their formats are in `audio_files`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from text2x.errors import InputError

if TYPE_CHECKING:
    import torch

MOST_CHANNELS = 8
LOWEST_RATE, HIGHEST_RATE = 1000, 384_000  # Hz
SILENCE_DB = 60.0  # below the loudest part: what trimming takes for silence (librosa.effects.trim and Coqui's trim_db)
FRAME_SECONDS = 0.01  # of the levels that trimming looks at
BLOCK_SECONDS, BLOCK_HOP = 0.4, 0.1  # gating blocks of BS.1770-4, Annex 1
ABSOLUTE_GATE, RELATIVE_GATE = -70.0, -10.0  # LUFS, LU: the same


@dataclass(frozen=True, eq=False)
class Audio:
    """A sound; [T] is taken as one channel, and a torch tensor in place of an array too.

    Values beyond [-1, 1] are kept until they are written with integers. Not finite ones raise InputError.
    """

    samples: np.ndarray  # [C, T] float32; read-only
    rate: int  # samples a second

    def __post_init__(self) -> None:
        given: Any = self.samples
        if hasattr(given, "detach"):
            given = given.detach().float().cpu().numpy()
        samples = np.array(given, dtype=np.float32)
        samples = samples[None] if samples.ndim == 1 else samples
        if samples.ndim != 2 or not 1 <= samples.shape[0] <= MOST_CHANNELS or not samples.shape[1]:
            raise ValueError(f"a sound is [C, T] with 1 to {MOST_CHANNELS} channels, got {list(samples.shape)}")
        if not np.isfinite(samples).all():
            raise InputError("the sound holds values that are not finite; lower the guidance or take more steps")
        check_rate(self.rate)
        samples.flags.writeable = False
        object.__setattr__(self, "samples", samples)
        object.__setattr__(self, "rate", int(self.rate))

    @property
    def channels(self) -> int:
        """1 for mono, 2 for stereo."""
        return self.samples.shape[0]

    @property
    def frames(self) -> int:
        """Samples of each channel."""
        return self.samples.shape[1]

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.frames / self.rate

    def tensor(self) -> torch.Tensor:
        """A copy as a tensor [C, T]."""
        import torch

        return torch.from_numpy(self.samples.copy())

    def to_int16(self) -> NDArray[np.int16]:
        """[C, T], clipped; what 16-bit files hold."""
        return to_integers(self.samples, 16).astype(np.int16)

    # Form

    def to_mono(self) -> Audio:
        """The mean of the channels."""
        return self if self.channels == 1 else Audio(self.samples.mean(axis=0, dtype=np.float64), self.rate)

    def with_channels(self, channels: int) -> Audio:
        """One channel repeated, or many mixed down to one; any other change raises InputError."""
        if channels == self.channels:
            return self
        if channels == 1:
            return self.to_mono()
        if self.channels != 1:
            raise InputError(f"a sound of {self.channels} channels cannot be brought to {channels}; mix it to 1 first")
        return Audio(np.repeat(self.samples, channels, axis=0), self.rate)

    def resample(self, rate: int) -> Audio:
        """Another rate, by soxr at its high quality; the length is the nearest that fits."""
        check_rate(rate)
        if rate == self.rate:
            return self
        import soxr

        made = soxr.resample(np.ascontiguousarray(self.samples.T), self.rate, rate, quality="HQ").T
        return Audio(made if made.shape[1] else np.zeros((self.channels, 1)), rate)

    def cut(self, start: float = 0.0, end: float | None = None) -> Audio:
        """The part from `start` to `end` in seconds; None is the end of the sound."""
        first = round(start * self.rate)
        last = self.frames if end is None else min(self.frames, round(end * self.rate))
        if not 0 <= first < last:
            told = "its end" if end is None else f"{end:g} s"
            raise InputError(f"nothing lies between {start:g} s and {told} of a sound of {self.seconds:.2f} s")
        return Audio(self.samples[:, first:last], self.rate)

    def padded(self, before: float = 0.0, after: float = 0.0) -> Audio:
        """With seconds of silence before and after it."""
        width = ((0, 0), (round(before * self.rate), round(after * self.rate)))
        return Audio(np.pad(self.samples, width), self.rate)

    def trim(self, below: float = SILENCE_DB, keep: float = 0.0) -> Audio:
        """Without silence at both ends: frames of 10 ms more than `below` dB under the loudest one.

        `keep` seconds of it stay. A sound that is silent all through comes back as it is.
        """
        size = max(1, round(FRAME_SECONDS * self.rate))
        power = np.square(self.samples, dtype=np.float64).mean(axis=0)
        starts = np.arange(0, self.frames, size)
        levels = np.add.reduceat(power, starts) / np.diff(starts, append=self.frames)
        if not levels.max() > 0:
            return self
        loud = np.flatnonzero(levels >= levels.max() * 10 ** (-below / 10))
        margin = round(keep * self.rate)
        first, last = loud[0] * size - margin, (loud[-1] + 1) * size + margin
        return Audio(self.samples[:, max(0, first) : min(self.frames, last)], self.rate)

    # Level

    def gain(self, decibels: float) -> Audio:
        """Louder or, below 0, quieter."""
        return Audio(self.samples * np.float32(10 ** (decibels / 20)), self.rate)

    def peak(self) -> float:
        """The largest sample in dBFS; -inf for silence."""
        return _decibels(float(np.abs(self.samples).max()))

    def loudness(self) -> float:
        """Integrated loudness in LUFS (ITU-R BS.1770-4), all channels weighted 1; -inf for silence.

        A sound shorter than a block of 0.4 s is one block.
        """
        powers = k_weighted_blocks(self)
        levels = -0.691 + 10 * np.log10(np.maximum(powers, 1e-30))
        heard = levels > ABSOLUTE_GATE
        if not heard.any():
            return -math.inf
        gate = -0.691 + 10 * math.log10(powers[heard].mean()) + RELATIVE_GATE
        return float(-0.691 + 10 * math.log10(powers[heard & (levels > gate)].mean()))

    def normalised(self, loudness: float | None = None, peak: float = -1.0) -> Audio:
        """Brought to a loudness in LUFS, or (None) to the peak; the peak in dBFS is not passed. Silence stays."""
        if not np.any(self.samples):
            return self
        change = peak - self.peak()
        if loudness is not None and math.isfinite(found := self.loudness()):
            change = min(change, loudness - found)
        return self.gain(change)

    def fade(self, seconds_in: float = 0.0, seconds_out: float = 0.0) -> Audio:
        """Rising from silence and falling to it along a quarter of a sine (equal power)."""
        samples = self.samples.copy()
        for seconds, edge in ((seconds_in, 1), (seconds_out, -1)):
            count = min(self.frames, round(seconds * self.rate))
            samples[:, ::edge][:, :count] *= ramp(count)
        return Audio(samples, self.rate)

    # Files

    def encode(
        self,
        format: str = "wav",
        metadata: Mapping[str, Any] | None = None,
        bits: int | None = None,
        kilobits: int | None = None,
    ) -> bytes:
        """The bytes of a file, as `audio_files.encode` says."""
        from text2x.audio_files import encode

        return encode(self, format, metadata, bits, kilobits)

    def save(
        self,
        path: str | Path,
        metadata: Mapping[str, Any] | None = None,
        bits: int | None = None,
        kilobits: int | None = None,
    ) -> None:
        """Write the file whole or not at all; its suffix names the format."""
        from text2x.audio_files import save

        save(self, path, metadata, bits, kilobits)

    @classmethod
    def read(cls, path: str | Path, start: float = 0.0, seconds: float | None = None) -> Audio:
        """A file of any usual format, or `seconds` of it from `start`, as `audio_files.read` says."""
        from text2x.audio_files import read

        return read(path, start, seconds)

    def _repr_html_(self) -> str:
        import base64

        data = base64.b64encode(self.encode("wav")).decode()
        return f'<audio controls src="data:audio/wav;base64,{data}"></audio>'


def check_rate(rate: int) -> None:
    """Raise InputError for a rate that no sound has."""
    if not LOWEST_RATE <= rate <= HIGHEST_RATE or rate != int(rate):
        raise InputError(f"a rate of {rate} Hz is out of range; give a whole {LOWEST_RATE} to {HIGHEST_RATE}")


def to_integers(samples: np.ndarray, bits: int) -> NDArray[np.int32]:
    """Floats in [-1, 1] as integers of that many bits, rounded to nearest and clipped; n / 2^(bits - 1) is n again."""
    full = 2 ** (bits - 1)
    scaled = np.floor(samples.astype(np.float64) * full + 0.5)
    return np.clip(scaled, -full, full - 1).astype(np.int32)


def silence(seconds: float, rate: int, channels: int = 1) -> Audio:
    """Zeros; at least one sample of them."""
    return Audio(np.zeros((channels, max(1, round(seconds * rate)))), rate)


def ramp(count: int) -> NDArray[np.float32]:
    """[count] from 0 to 1 along a quarter of a sine; it and its reverse have equal power together."""
    return np.sin((np.arange(count) + 0.5) / max(1, count) * np.pi / 2).astype(np.float32)


def join(parts: Sequence[Audio], pause: float = 0.0, crossfade: float = 0.0) -> Audio:
    """One after the other, with silence or a crossfade of equal power between; they must agree in rate and channels."""
    _check_alike(parts)
    rate, made = parts[0].rate, parts[0].samples
    gap = np.zeros((parts[0].channels, round(pause * rate)), np.float32)
    for part in parts[1:]:
        count = min(round(crossfade * rate), made.shape[1], part.frames)
        rise = ramp(count)
        middle = made[:, made.shape[1] - count :] * rise[::-1] + part.samples[:, :count] * rise
        made = np.concatenate([made[:, : made.shape[1] - count], middle, gap, part.samples[:, count:]], axis=1)
    return Audio(made, rate)


def mix(parts: Sequence[Audio], gains: Sequence[float] | None = None, starts: Sequence[float] | None = None) -> Audio:
    """All at once: each with a gain in dB and a start in seconds (None: 0); as long as the last of them."""
    _check_alike(parts)
    for name, given in (("gains", gains), ("starts", starts)):
        if given is not None and len(given) != len(parts):
            raise InputError(f"{len(given)} {name} for {len(parts)} sounds; give one each")
    rate = parts[0].rate
    places = [round(start * rate) for start in starts or [0.0] * len(parts)]
    factors = [10 ** (each / 20) for each in gains or [0.0] * len(parts)]
    if min(places) < 0:
        raise InputError(f"a sound cannot start at {min(starts or [0]):g} s; at 0 or later")
    made = np.zeros((parts[0].channels, max(at + part.frames for at, part in zip(places, parts, strict=True))))
    for part, at, factor in zip(parts, places, factors, strict=True):
        made[:, at : at + part.frames] += part.samples * factor
    return Audio(made, rate)


def resampled(pieces: Iterable[np.ndarray], rate: int, wanted: int) -> Iterator[NDArray[np.float32]]:
    """Pieces [C, T] of one sound at another rate, as they come; together what `Audio.resample` gives."""
    import soxr

    stream, channels = None, 1
    for piece in pieces:
        channels = piece.shape[0]
        stream = stream or soxr.ResampleStream(rate, wanted, channels, dtype="float32", quality="HQ")
        yield stream.resample_chunk(np.ascontiguousarray(piece.T, dtype=np.float32)).reshape(-1, channels).T
    if stream is not None:
        yield stream.resample_chunk(np.zeros((0, channels), np.float32), last=True).reshape(-1, channels).T


def _check_alike(parts: Sequence[Audio]) -> None:
    if not parts:
        raise InputError("there is no sound to put together; give at least one")
    for part in parts[1:]:
        if (part.rate, part.channels) != (parts[0].rate, parts[0].channels):
            raise InputError(
                f"sounds of {part.rate} Hz, {part.channels} channels and {parts[0].rate} Hz, {parts[0].channels}"
                " channels cannot be put together; resample one, or mix it to mono"
            )


def _decibels(value: float) -> float:
    return 20 * math.log10(value) if value > 0 else -math.inf


# Loudness


def k_weighted_blocks(audio: Audio) -> NDArray[np.float64]:
    """Power of each block of 0.4 s every 0.1 s after K-weighting, summed over channels (BS.1770-4, Eq. 1 and 3)."""
    rate, frames = audio.rate, audio.frames
    length = 1 << (frames + rate - 1).bit_length()  # a second or more of zeros: the filters have died away by then
    spectrum = np.fft.rfft(audio.samples.astype(np.float64), length) * _k_weighting(rate, length)
    power = np.square(np.fft.irfft(spectrum, length)[:, :frames]).sum(axis=0)
    size, hop = round(BLOCK_SECONDS * rate), round(BLOCK_HOP * rate)
    if frames < size:
        return power.mean(keepdims=True)
    total = np.concatenate([[0.0], np.cumsum(power)])
    starts = np.arange(0, frames - size + 1, hop)
    return (total[starts + size] - total[starts]) / size


def _k_weighting(rate: int, length: int) -> NDArray[np.complex128]:
    """Frequency response of BS.1770's shelf and high-pass at any rate.

    The standard gives coefficients at 48 kHz; these are the analogue prototypes behind them (Brecht De Man 2014,
    "Evaluation of implementations of the EBU R128 loudness measurement", Sec. 2; the same in libebur128).
    """
    z = np.exp(-2j * np.pi * np.arange(length // 2 + 1) / length)  # z^-1
    k = math.tan(math.pi * min(1681.974450955533 / rate, 0.49))
    q, high = 0.7071752369554196, 10 ** (3.999843853973347 / 20)
    band = high**0.4996667741545416
    down = 1 + k / q + k * k
    shelf = (high + band * k / q + k * k) + 2 * (k * k - high) * z + (high - band * k / q + k * k) * z**2
    shelf /= down + 2 * (k * k - 1) * z + (1 - k / q + k * k) * z**2
    k, q = math.tan(math.pi * 38.13547087602444 / rate), 0.5003270373238773
    down = 1 + k / q + k * k
    return shelf * (1 - 2 * z + z**2) / (1 + 2 * (k * k - 1) / down * z + (1 - k / q + k * k) / down * z**2)
