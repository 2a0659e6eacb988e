"""Batches of a speech set: `batch_at(step)` depends on configuration and step alone, so resuming needs no state.

Clips of like length go together; now and then clips of one voice are joined, so that longer texts are learned too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from text2x.data.speechset import SpeechSet, SpeechSplit
from text2x.errors import InputError
from text2x.spoken.phone_set import is_silence

if TYPE_CHECKING:
    from torch import Tensor

ORDER, DETAILS = 0, 1  # streams of random numbers: which clips, and what is done to them
MOST_JOINED = 3
BUCKET = 16  # batches whose clips are sorted by length together


@dataclass(frozen=True)
class SpeechBatchConfig:
    """What a batch holds; `speakers` and `languages` () mean all.

    `join` is the share of items that are two or three clips of one voice, with `pause` seconds between. Items are
    padded to `phones` and `frames` if given (longer clips are left out then), else to the longest of the batch.
    """

    batch_size: int = 16
    seed: int = 0
    split: SpeechSplit = "train"
    speakers: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    join: float = 0.0
    pause: tuple[float, float] = (0.15, 0.5)
    phones: int | None = None
    frames: int | None = None
    most_frames: int = 1200  # of joined clips

    def __post_init__(self) -> None:
        if self.batch_size < 1 or self.seed < 0:
            raise InputError(f"batch_size {self.batch_size} must be at least 1, seed {self.seed} at least 0")
        if not 0 <= self.join <= 1 or not 0 <= self.pause[0] <= self.pause[1]:
            raise InputError(f"join {self.join} must lie between 0 and 1, and the pauses {self.pause} must rise from 0")
        for name in ("phones", "frames"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}; items are padded to at least 1")


@dataclass(frozen=True)
class SpeechBatch:
    """Speech and phones, zeros beyond each item's own; `durations` and `pitch` are None if the set is not aligned."""

    phones: Tensor  # [B, L] int64, ids in the set's table of phones
    phone_counts: Tensor  # [B] int64
    durations: Tensor | None  # [B, L] int64 frames
    pitch: Tensor | None  # [B, L] natural logarithm of the mean F0 in Hz, 0 without voice
    frame_pitch: Tensor  # [B, T] F0 in Hz, 0 without voice
    samples: Tensor  # [B, T hop] float32 in [-1, 1]
    frame_counts: Tensor  # [B] int64
    speakers: Tensor  # [B] int64, indexes into the set's speakers
    languages: Tensor  # [B] int64
    items: Tensor  # [B] int64, index of the first clip of each item
    texts: tuple[str, ...]


@dataclass(frozen=True)
class _Item:
    """One or more clips in a row."""

    first: int
    text: str
    phones: tuple[int, ...]
    durations: tuple[int, ...] | None
    samples: NDArray[np.int16]
    pitch: NDArray[np.float32]


class SpeechBatches:
    """Batches of one part of a speech set; every clip is the first of an item once an epoch."""

    def __init__(self, speech: SpeechSet, config: SpeechBatchConfig) -> None:
        self.speech, self.config = speech, config
        self.ids = {phone: place for place, phone in enumerate(speech.phones)}
        self.indexes = select_clips(speech, config)
        clips = [speech.clips[index] for index in self.indexes]
        self.aligned = all(clip.durations is not None for clip in clips)
        self._voices: dict[tuple[str, str], list[int]] = {}
        for index, clip in zip(self.indexes, clips, strict=True):
            self._voices.setdefault((clip.speaker, clip.language), []).append(int(index))
        self._orders: dict[int, NDArray[np.int64]] = {}

    @property
    def epoch_size(self) -> int:
        """Number of clips in an epoch."""
        return len(self.indexes)

    def batch_at(self, step: int) -> SpeechBatch:
        """The batch of one step, the same on every call."""
        rng = np.random.default_rng([self.config.seed, DETAILS, step])
        return self._batch([self._item(int(index), rng) for index in self._chosen(step)])

    def in_order(self) -> Iterator[SpeechBatch]:
        """All clips once, as they are, in the order of their length: for measuring."""
        order = sorted(self.indexes, key=lambda index: (self.speech.clips[index].samples, index))
        for start in range(0, len(order), self.config.batch_size):
            yield self._batch([self._alone(int(index)) for index in order[start : start + self.config.batch_size]])

    def _chosen(self, step: int) -> NDArray[np.int64]:
        """Clip indexes of a step: BUCKET batches are drawn, sorted by length, and cut into batches in random order."""
        size = self.config.batch_size
        bucket, place = divmod(step, BUCKET)
        places = np.arange(bucket * BUCKET * size, (bucket + 1) * BUCKET * size)
        epochs, offsets = np.divmod(places, self.epoch_size)
        drawn = [self.indexes[self._order(int(e))[o]] for e, o in zip(epochs, offsets, strict=True)]
        drawn.sort(key=lambda index: (self.speech.clips[index].samples, index))
        shuffled = np.random.default_rng([self.config.seed, ORDER, 1, bucket]).permutation(BUCKET)
        start = int(shuffled[place]) * size
        return np.array(drawn[start : start + size])

    def _order(self, epoch: int) -> NDArray[np.int64]:
        if epoch not in self._orders:
            while len(self._orders) > 64:
                self._orders.pop(next(iter(self._orders)))
            rng = np.random.default_rng([self.config.seed, ORDER, 0, epoch])
            self._orders[epoch] = rng.permutation(self.epoch_size)
        return self._orders[epoch]

    def _item(self, index: int, rng: np.random.Generator) -> _Item:
        item = self._alone(index)
        joins, count, low_high = rng.random(), int(rng.integers(2, MOST_JOINED + 1)), rng.uniform(*self.config.pause, 8)
        clip = self.speech.clips[index]
        others = rng.choice(self._voices[clip.speaker, clip.language], MOST_JOINED - 1)
        if joins >= self.config.join:
            return item
        for other, pause in zip(others[: count - 1], low_high, strict=False):
            frames = round(pause * self.speech.rate / self.speech.hop)
            longer = _joined(item, self._alone(int(other)), frames, self.speech.hop, self._silences)
            fits = len(longer.phones) <= (self.config.phones or len(longer.phones))
            if len(longer.pitch) <= (self.config.frames or self.config.most_frames) and fits:
                item = longer
        return item

    @property
    def _silences(self) -> frozenset[int]:
        return frozenset(place for phone, place in self.ids.items() if is_silence(phone))

    def _alone(self, index: int) -> _Item:
        clip = self.speech.clips[index]
        phones = tuple(self.ids[phone] for phone in clip.phones)
        durations = clip.durations if self.aligned else None
        return _Item(index, clip.text, phones, durations, self.speech.samples_of(index), self.speech.pitch_of(index))

    def _batch(self, items: Sequence[_Item]) -> SpeechBatch:
        import torch

        from text2x.alignment import symbol_means

        config, hop = self.config, self.speech.hop
        counts = [len(item.phones) for item in items]
        frames = [len(item.pitch) for item in items]
        width, length = config.phones or max(counts), config.frames or max(frames)
        phones = torch.from_numpy(_padded([item.phones for item in items], width, np.int64))
        frame_pitch = torch.from_numpy(_padded([item.pitch for item in items], length, np.float32))
        samples = torch.from_numpy(_padded([item.samples for item in items], length * hop, np.float32)).div_(32768)
        durations = pitch = None
        if self.aligned:
            durations = torch.from_numpy(_padded([item.durations or () for item in items], width, np.int64))
            means = symbol_means(frame_pitch, durations)
            pitch = torch.where(means > 0, means.clamp_min(1).log(), means)
        firsts = [self.speech.clips[item.first] for item in items]
        return SpeechBatch(
            phones,
            torch.tensor(counts),
            durations,
            pitch,
            frame_pitch,
            samples,
            torch.tensor(frames),
            torch.tensor([self.speech.speakers.index(clip.speaker) for clip in firsts]),
            torch.tensor([self.speech.languages.index(clip.language) for clip in firsts]),
            torch.tensor([item.first for item in items]),
            tuple(item.text for item in items),
        )


def select_clips(speech: SpeechSet, config: SpeechBatchConfig) -> NDArray[np.int64]:
    """Indexes of a split's clips by the given speakers in the given languages that fit, ascending."""
    for kind, given, known in (
        ("speaker", config.speakers, speech.speakers),
        ("language", config.languages, speech.languages),
    ):
        for name in given:
            if name not in known:
                raise InputError(f"the set {speech.name!r} has no {kind} {name!r}; it has {', '.join(known)}")

    def wanted(index: int) -> bool:
        clip = speech.clips[index]
        voice = (not config.speakers or clip.speaker in config.speakers) and (
            not config.languages or clip.language in config.languages
        )
        fits = len(clip.phones) <= (config.phones or len(clip.phones))
        return voice and fits and clip.samples // speech.hop <= (config.frames or clip.samples)

    chosen = np.array([index for index in speech.split(config.split) if wanted(int(index))], dtype=np.int64)
    if len(chosen) == 0:
        raise InputError(
            f"the set {speech.name!r} has no clip left in {config.split!r}; allow longer ones or more voices"
        )
    return chosen


def _joined(first: _Item, second: _Item, pause: int, hop: int, silences: frozenset[int]) -> _Item:
    """Two items with `pause` frames between that repeat what is heard at the end of the first one."""
    quiet = 0
    if first.durations is not None and first.phones[-1] in silences:
        quiet = first.durations[-1] * hop
    gap = _quiet(first.samples[len(first.samples) - quiet :] if quiet else second.samples[:0], pause * hop)
    samples = np.concatenate([first.samples, gap, second.samples])
    pitch = np.concatenate([first.pitch, np.zeros(pause, np.float32), second.pitch])
    same = first.phones[-1] in silences and second.phones[0] in silences and len(second.phones) > 1
    phones = first.phones + second.phones[same:]
    durations = None
    if first.durations is not None and second.durations is not None:
        lead = second.durations[0] if same else 0
        last = first.durations[-1] + pause + lead
        durations = (*first.durations[:-1], last, *second.durations[same:])
    return _Item(first.first, f"{first.text} {second.text}", phones, durations, samples, pitch)


def _quiet(sound: NDArray[np.int16], length: int) -> NDArray[np.int16]:
    """`length` samples that go on from the end of a quiet sound without a step: back and forth through it."""
    if len(sound) < 2:
        return np.zeros(length, np.int16)
    turned = np.concatenate([sound[::-1], sound])
    return np.resize(turned, length)


def _padded(rows: Sequence[Sequence[int] | NDArray[np.generic]], width: int, kind: type[np.generic]) -> NDArray:
    made = np.zeros((len(rows), width), kind)
    for row, values in zip(made, rows, strict=True):
        row[: len(values)] = values
    return made
