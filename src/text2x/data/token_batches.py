"""Codes of captioned sounds as batches: crops of codes found beforehand, and mixtures of two sounds, encoded when used.

Shapes: B batch, K codebooks, S frames, P frames of chroma. A clip shorter than a crop is followed by silence. What a
batch holds depends on its configuration and step alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from text2x.audio_codecs import TokenCodec
from text2x.chroma import ChromaConfig, chroma, fitted
from text2x.data.audioset import AudioSet, AudioSplit
from text2x.data.encoded_clips import fingerprint, frames_of_clips
from text2x.errors import InputError


@dataclass(frozen=True)
class TokenBatchConfig:
    """Crops of `seconds`; a share `mix` is two sounds at once with joined captions (Kreuk et al. 2022, Sec. 3.2).

    The second sound is louder or quieter by a number of decibels within `level` and begins in the first half.
    """

    batch_size: int = 16
    seed: int = 0
    split: AudioSplit = "train"
    seconds: float = 4.0
    mix: float = 0.0
    level: tuple[float, float] = (-5.0, 5.0)

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.seed < 0 or not 0 < self.seconds <= 60:
            raise InputError(
                f"data has batch_size {self.batch_size}, seed {self.seed} and seconds {self.seconds}; at least 1,"
                " at least 0, and above 0 up to 60"
            )
        if not 0 <= self.mix <= 1 or not self.level[0] <= self.level[1]:
            raise InputError(f"data.mix is {self.mix} and data.level {self.level}; 0 to 1, and two rising numbers")


@dataclass(frozen=True)
class TokenBatch:
    """Codes of crops with their captions."""

    codes: Tensor  # [B, K, S] int64
    captions: tuple[str, ...]
    step: int
    melody: Tensor | None = None  # [B, P, 12]


@dataclass(frozen=True)
class Codes:
    """The codes of every clip, one after the other: clip i has the frames `starts[i]` to `starts[i + 1]`."""

    frames: NDArray[np.int16]  # [K, N]
    starts: NDArray[np.int64]  # [clips + 1]

    def of(self, index: int) -> NDArray[np.int16]:
        """[K, S] of one clip."""
        return self.frames[:, self.starts[index] : self.starts[index + 1]]


def encode_clips(clips: AudioSet, codec: TokenCodec, least: int, folder: Path | None = None) -> Codes:
    """Encode every clip, followed by silence up to `least` frames; kept in `folder` for the next time."""
    network = getattr(getattr(codec, "mono", codec), "network", None)
    name = f"codes-{fingerprint(f'{clips.name}/{len(clips)}/{clips.seconds}/{least}', network)}.safetensors"

    def encode(samples: Tensor) -> Tensor:
        return codec.encode(samples.expand(1, codec.channels, -1))[0].to(torch.int16)

    return Codes(*frames_of_clips(clips, codec.hop, least, encode, None if folder is None else folder / name))


class TokenBatches:
    """Batches of crops from one split of a set of captioned sounds."""

    def __init__(
        self,
        clips: AudioSet,
        codec: TokenCodec,
        codes: Codes,
        config: TokenBatchConfig,
        melody: ChromaConfig | None = None,
    ) -> None:
        self.clips, self.codec, self.codes, self.config, self.melody = clips, codec, codes, config, melody
        self.frames = crop_frames(config, codec)
        self.indexes = clips.split(config.split)
        if not len(self.indexes):
            raise InputError(f"the set {clips.name!r} has no clip in {config.split!r}; add clips of other groups")
        lengths = np.diff(codes.starts)[self.indexes]
        self._ends = np.cumsum(np.maximum(lengths, self.frames))

    def batch_at(self, step: int) -> TokenBatch:
        """The batch of one step, the same on every call."""
        config = self.config
        rng = np.random.default_rng([config.seed, step])
        items = [self._item(rng.random(9)) for _ in range(config.batch_size)]
        codes, captions, melodies = zip(*items, strict=True)
        melody = None if self.melody is None else torch.stack(list(melodies))
        return TokenBatch(torch.stack(codes), tuple(captions), step, melody)

    def _item(self, draws: NDArray[np.float64]) -> tuple[Tensor, str, Tensor | None]:
        """Codes [K, S], caption and chroma from nine uniform numbers."""
        index, start = self._place(draws[0], draws[1])
        if draws[2] < self.config.mix:
            other, begin = self._place(draws[3], draws[4])
            return self._mixed((index, start), (other, begin), draws[5:])
        codes = torch.from_numpy(self.codes.of(index)[:, start : start + self.frames].astype(np.int64))
        return codes, self._said(index, draws[7]), self._chroma(self._samples(index, start))

    def _place(self, which: float, where: float) -> tuple[int, int]:
        """A clip and the frame that a crop of it begins with."""
        index = int(self.indexes[np.searchsorted(self._ends, which * self._ends[-1], side="right")])
        surplus = int(np.diff(self.codes.starts)[index]) - self.frames
        return index, int(where * (surplus + 1))

    def _mixed(
        self, first: tuple[int, int], second: tuple[int, int], draws: NDArray[np.float64]
    ) -> tuple[Tensor, str, Tensor | None]:
        """Two sounds at once, from uniform numbers for level, delay and both captions."""
        level, delay = draws[:2]
        one, two = self._samples(*first), self._samples(*second)
        late = int(delay * len(two) / 2)
        two = torch.nn.functional.pad(two, (late, 0))[: len(one)]
        low, high = self.config.level
        powers = [float(each.square().mean().clamp_min(1e-10)) for each in (one, two)]
        two = two * (powers[0] / powers[1]) ** 0.5 * 10 ** ((low + level * (high - low)) / 20)
        both = one + two
        both = both / max(1.0, float(both.abs().max()))
        codes = self.codec.encode(both.expand(1, self.codec.channels, -1))[0]
        texts = [self._said(index, draw) for (index, _), draw in zip((first, second), draws[2:], strict=True)]
        return codes.cpu(), " and ".join(dict.fromkeys(texts)), self._chroma(both)

    def _said(self, index: int, draw: float) -> str:
        """One of a clip's captions."""
        said = _captions(self.clips, index)
        return said[int(draw * len(said))]

    def _samples(self, index: int, start: int) -> Tensor:
        """A crop's samples [T], zeros beyond the clip."""
        hop, size = self.codec.hop, self.frames * self.codec.hop
        crop = torch.from_numpy(self.clips.samples(index, start * hop, size))
        return torch.nn.functional.pad(crop, (0, size - len(crop)))

    def _chroma(self, samples: Tensor) -> Tensor | None:
        if self.melody is None:
            return None
        return fitted(
            chroma(samples, self.melody), 0, self.melody.frames(self.frames * self.codec.hop / self.codec.rate)
        )


def crop_frames(config: TokenBatchConfig, codec: TokenCodec) -> int:
    """Frames of a crop."""
    return max(1, round(config.seconds * codec.rate / codec.hop))


def captions_of(clips: AudioSet, indexes: Sequence[int]) -> tuple[str, ...]:
    """The different captions of some clips, in order."""
    return tuple(dict.fromkeys(said for index in indexes for said in _captions(clips, int(index))))


def _captions(clips: AudioSet, index: int) -> tuple[str, ...]:
    """What a clip is called, and in which other words."""
    clip = clips.clips[index]
    return clip.text, *clip.captions
