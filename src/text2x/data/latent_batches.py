"""Latents of captioned sounds as batches: crops of latents found beforehand; mixtures and loops, encoded when used.

Shapes: B batch, Z channels, S frames. A clip shorter than a crop is followed by silence; the batch says how long each
sound is. What a batch holds depends on its configuration and step alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from text2x.audio_codecs import AudioLatentCodec, encode_circular
from text2x.data.audioset import AudioSet, AudioSplit
from text2x.data.encoded_clips import fingerprint, frames_of_clips
from text2x.errors import InputError

SHORTEST_LOOP = 0.25  # of a crop
FADE_SECONDS = 0.25  # in which a loop's end becomes its beginning
QUIETEST = 1e-10  # power of silence


@dataclass(frozen=True)
class LatentBatchConfig:
    """Crops of `seconds`; a share `mix` of them is two sounds at once with joined captions (Kreuk et al. 2022).

    The second sound is louder or quieter by a number of decibels within `level` and begins in the first half. A share
    `loops` of the batches is of loops from a quarter of a crop up, made by fading a crop's end into its beginning.
    """

    batch_size: int = 16
    seed: int = 0
    split: AudioSplit = "train"
    seconds: float = 4.0
    mix: float = 0.0
    level: tuple[float, float] = (-5.0, 5.0)
    loops: float = 0.0

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.seed < 0 or not 0 < self.seconds <= 60:
            raise InputError(
                f"data has batch_size {self.batch_size}, seed {self.seed} and seconds {self.seconds}; at least 1,"
                " at least 0, and above 0 up to 60"
            )
        if not (0 <= self.mix <= 1 and 0 <= self.loops <= 1) or not self.level[0] <= self.level[1]:
            raise InputError(
                f"data.mix is {self.mix}, data.loops {self.loops} and data.level {self.level}; 0 to 1, 0 to 1, and two"
                " rising numbers"
            )


@dataclass(frozen=True)
class LatentBatch:
    """Latents of crops with their captions."""

    latents: Tensor  # [B, Z, S] float32
    captions: tuple[str, ...]
    seconds: Tensor  # [B] of sound; what comes after it is silence
    since: Tensor  # [B] seconds of the sound before the crop
    left: Tensor  # [B] seconds from the crop's beginning to the end of the sound, which may lie beyond the crop
    loop: bool  # whether the last frame leads into the first
    step: int


@dataclass(frozen=True)
class ClipLatents:
    """The latents of every clip, one after the other: clip i has the frames `starts[i]` to `starts[i + 1]`."""

    frames: NDArray[np.float16]  # [Z, N]
    starts: NDArray[np.int64]  # [clips + 1]

    def of(self, index: int) -> NDArray[np.float16]:
        """[Z, S] of one clip."""
        return self.frames[:, self.starts[index] : self.starts[index + 1]]


def crop_frames(config: LatentBatchConfig, codec: AudioLatentCodec) -> int:
    """Frames of a crop."""
    return max(1, round(config.seconds * codec.rate / codec.hop))


def latents_of_clips(clips: AudioSet, codec: AudioLatentCodec, least: int, folder: Path | None = None) -> ClipLatents:
    """Encode every clip, followed by silence up to `least` frames; kept in `folder` for the next time."""
    about = f"{clips.name}/{len(clips)}/{clips.seconds}/{least}/{codec.shift}/{codec.scale}"
    name = f"latents-{fingerprint(about, codec.network)}.safetensors"

    def encode(samples: Tensor) -> Tensor:
        return codec.encode(samples[None, None])[0].to(torch.float16)

    return ClipLatents(*frames_of_clips(clips, codec.hop, least, encode, None if folder is None else folder / name))


class LatentBatches:
    """Batches of crops from one split of a set of captioned sounds."""

    def __init__(
        self, clips: AudioSet, codec: AudioLatentCodec, latents: ClipLatents, config: LatentBatchConfig
    ) -> None:
        self.clips, self.codec, self.latents, self.config = clips, codec, latents, config
        self.frames = crop_frames(config, codec)
        self.indexes = clips.split(config.split)
        if not len(self.indexes):
            raise InputError(f"the set {clips.name!r} has no clip in {config.split!r}; add clips of other groups")
        lengths = np.diff(latents.starts)[self.indexes]
        self._ends = np.cumsum(np.maximum(lengths, self.frames))

    def batch_at(self, step: int) -> LatentBatch:
        """The batch of one step, the same on every call."""
        config = self.config
        rng = np.random.default_rng([config.seed, step])
        kind, length = rng.random(2)
        loop = bool(kind < config.loops)
        count = self.frames if not loop else round(self.frames * (SHORTEST_LOOP + (1 - SHORTEST_LOOP) * length))
        items = [
            self._loop(rng.random(8), max(1, count)) if loop else self._item(rng.random(8))
            for _ in range(config.batch_size)
        ]
        latents, captions, since, left = zip(*items, strict=True)
        since, left = torch.tensor(since), torch.tensor(left)
        seconds = left.clamp_max(config.seconds)
        return LatentBatch(torch.stack(latents), tuple(captions), seconds, since, left, loop, step)

    def _item(self, draws: NDArray[np.float64]) -> tuple[Tensor, str, float, float]:
        """Latents [Z, S], caption, seconds of sound before them and left, from eight uniform numbers."""
        index, start = self._place(draws[0], draws[1])
        caption = self._caption(index, draws[2])
        if draws[3] < self.config.mix:
            other, begin = self._place(draws[4], draws[5])
            both = self._mixed((index, start), (other, begin), draws[6], draws[7])
            texts = dict.fromkeys((caption, self._caption(other, draws[2])))
            return self.codec.encode(both[None, None])[0].float(), " and ".join(texts), 0.0, self.config.seconds
        latents = self.latents.of(index)[:, start : start + self.frames].astype(np.float32)
        return torch.from_numpy(latents), caption, *self._around(index, start)

    def _place(self, which: float, where: float) -> tuple[int, int]:
        """A clip and the frame that a crop of it begins with."""
        index = int(self.indexes[np.searchsorted(self._ends, which * self._ends[-1], side="right")])
        surplus = int(np.diff(self.latents.starts)[index]) - self.frames
        return index, int(where * (surplus + 1))

    def _caption(self, index: int, which: float) -> str:
        """One of the ways to say what is heard; the first half of the time the first."""
        clip = self.clips.clips[index]
        said = (clip.text, *clip.captions)
        return said[0] if which < 0.5 else said[int((which - 0.5) * 2 * len(said))]

    def _around(self, index: int, start: int) -> tuple[float, float]:
        """Seconds of a clip before a frame and after it."""
        since = start * self.codec.hop / self.codec.rate
        return since, max(0.0, int(self.clips.lengths[index]) / self.codec.rate - since)

    def _mixed(self, first: tuple[int, int], second: tuple[int, int], level: float, delay: float) -> Tensor:
        """Samples [T] of two crops, the second later and at another level."""
        one, two = (self._samples(*each) for each in (first, second))
        two = torch.nn.functional.pad(two, (int(delay * len(two) / 2), 0))[: len(one)]
        low, high = self.config.level
        powers = [float(each.square().mean().clamp_min(QUIETEST)) for each in (one, two)]
        both = one + two * (powers[0] / powers[1]) ** 0.5 * 10 ** ((low + level * (high - low)) / 20)
        return both / max(1.0, float(both.abs().max()))

    def _samples(self, index: int, start: int) -> Tensor:
        """A crop's samples [T], zeros beyond the clip."""
        size = self.frames * self.codec.hop
        crop = torch.from_numpy(self.clips.samples(index, start * self.codec.hop, size))
        return torch.nn.functional.pad(crop, (0, size - len(crop)))

    def _loop(self, draws: NDArray[np.float64], count: int) -> tuple[Tensor, str, float, float]:
        """Latents [Z, S] of a loop of so many frames, its caption and its seconds."""
        index, _ = self._place(draws[0], 0.0)
        size = count * self.codec.hop
        fade = min(size // 4, round(FADE_SECONDS * self.codec.rate))
        surplus = max(0, int(self.clips.lengths[index]) - size - fade)
        sound = looped(self.clips.samples(index, int(draws[1] * (surplus + 1)), size + fade), size)
        latents = encode_circular(self.codec, torch.from_numpy(sound)[None, None])[0]
        return latents.float(), self._caption(index, draws[2]), 0.0, size / self.codec.rate


def looped(samples: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """[size] of which the last sample leads into the first: what comes after `size` fades out over the beginning.

    (Equal power.) A sound that is over by then is followed by silence.
    """
    loop = np.zeros(size, np.float32)
    loop[: min(size, len(samples))] = samples[:size]
    after = samples[size:]
    if len(after):
        angle = (np.arange(len(after)) + 0.5) / len(after) * (np.pi / 2)
        loop[: len(after)] = loop[: len(after)] * np.sin(angle) + after * np.cos(angle)
    return np.clip(loop, -1, 1).astype(np.float32)
