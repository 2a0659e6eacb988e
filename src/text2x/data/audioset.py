"""A set of sounds on disk: `index.json` and `samples.npy` (int16, all clips one after the other); crops as batches.

A clip's samples are n / 32768. Clips of one group (a sentence, a recording, a performer) are in one split. What a batch
holds depends on its configuration and step alone.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from text2x.audio import Audio, to_integers
from text2x.data.imageset import INDEX, hash_unit, write_folder
from text2x.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

AudioSplit = Literal["train", "held-out"]
AUDIO_SPLITS: tuple[AudioSplit, ...] = get_args(AudioSplit)
FORMAT = 1
KIND = "audio"
SAMPLES = "samples.npy"
HELD_OUT = 0.1  # share of groups
FULL_SCALE = 32768


@dataclass(frozen=True)
class Clip:
    """One sound: where its samples lie, what it is, and whose."""

    key: str
    start: int
    frames: int
    group: str  # clips of one group are never in two splits
    text: str = ""  # what is said, or a caption
    speaker: str = ""
    language: str = ""
    licence: str = ""
    about: str = ""  # its source
    label: str = ""  # what kind of sound it is, for classifiers
    captions: tuple[str, ...] = ()  # other ways to say `text`


class AudioSet:
    """Clips and their samples, which stay on disk until they are asked for."""

    def __init__(
        self,
        name: str,
        rate: int,
        clips: Sequence[Clip],
        stored: NDArray[np.int16],
        splits: Mapping[AudioSplit, NDArray[np.int64]] | None = None,  # None: by the clips' groups
    ) -> None:
        if stored.dtype != np.int16 or stored.ndim != 1:
            raise ValueError(f"stored samples must be int16 [T], got {stored.dtype} {list(stored.shape)}")
        last = max((clip.start + clip.frames for clip in clips), default=0)
        if last > len(stored) or any(clip.frames < 1 or clip.start < 0 for clip in clips):
            raise ValueError(f"clips end at {last} and {len(stored)} samples are stored")
        self.name, self.rate, self.clips, self.stored = name, rate, tuple(clips), stored
        self.keys = tuple(clip.key for clip in clips)
        self.lengths = np.array([clip.frames for clip in clips], dtype=np.int64)
        self._splits = splits or _part([clip.group for clip in self.clips])

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def seconds(self) -> float:
        """Of all clips together."""
        return float(self.lengths.sum()) / self.rate

    def split(self, name: AudioSplit) -> NDArray[np.int64]:
        """Indexes of the clips of one split, ascending."""
        if name not in self._splits:
            raise InputError(f"unknown split {name!r}; splits are {', '.join(AUDIO_SPLITS)}")
        return self._splits[name]

    def samples(self, index: int, start: int = 0, frames: int | None = None) -> NDArray[np.float32]:
        """[T] a clip, or `frames` samples of it from `start`, in [-1, 1]."""
        clip = self.clips[index]
        first = clip.start + start
        last = clip.start + clip.frames if frames is None else min(first + frames, clip.start + clip.frames)
        return self.stored[first:last].astype(np.float32) / np.float32(FULL_SCALE)

    def audio(self, index: int) -> Audio:
        """A whole clip."""
        return Audio(self.samples(index), self.rate)

    @classmethod
    def load(cls, folder: Path) -> AudioSet:
        """Open a saved set without reading its samples; a folder that is no such set raises InputError."""
        try:
            index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
            stored = np.load(folder / SAMPLES, mmap_mode="r", allow_pickle=False)
            if (index["kind"], index["format"]) != (KIND, FORMAT):
                raise ValueError(f"its kind and format are {index['kind']!r} and {index['format']!r}")
            clips = [Clip(**{**values, "captions": tuple(values.get("captions", ()))}) for values in index["clips"]]
            return cls(str(index["name"]), int(index["rate"]), clips, stored)
        except (OSError, ValueError, EOFError, KeyError, TypeError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(f"{folder} is no set of sounds ({reason}); prepare it again") from None


def open_sounds(folder: Path) -> AudioSet:
    """A prepared set of sounds, or of speech, which keeps its own split by sentences; any other raises InputError."""
    from text2x.data import speechset

    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        index = None
    if not isinstance(index, dict) or index.get("kind") != speechset.KIND:
        return AudioSet.load(folder)
    speech = speechset.SpeechSet.load(folder)
    clips = [
        Clip(each.key, each.start, each.samples, each.text, each.text, each.speaker, each.language, each.licence)
        for each in speech.clips
    ]
    return AudioSet(speech.name, speech.rate, clips, speech.audio, {name: speech.split(name) for name in AUDIO_SPLITS})


def joined(sets: Sequence[AudioSet]) -> AudioSet:
    """Sets of one rate as one, each clip in the part that it was in; a set that is given n times counts n times.

    All samples are read into memory, once each.
    """
    rates = {each.rate for each in sets}
    if len(rates) != 1:
        told = ", ".join(f"{each.name!r} has {each.rate} Hz" for each in sets)
        raise InputError(f"sets are joined at one rate, and {told}; prepare them at the same one")
    places: dict[int, int] = {}
    stored, end = [], 0
    for each in {id(each): each for each in sets}.values():
        places[id(each)] = end
        stored.append(np.asarray(each.stored))
        end += len(each.stored)
    clips: list[Clip] = []
    parts: dict[AudioSplit, list[NDArray[np.int64]]] = {name: [] for name in AUDIO_SPLITS}
    count = 0
    for each in sets:
        clips += [dataclasses.replace(clip, start=clip.start + places[id(each)]) for clip in each.clips]
        for name, indexes in parts.items():
            indexes.append(each.split(name) + count)
        count += len(each)
    splits: dict[AudioSplit, NDArray[np.int64]] = {name: np.concatenate(each) for name, each in parts.items()}
    return AudioSet("+".join(each.name for each in sets), rates.pop(), clips, np.concatenate(stored), splits)


def _stored(rate: int, sounds: Iterable[tuple[Clip, Audio]]) -> Iterator[tuple[Clip, NDArray[np.int16]]]:
    """Clips with their place in the set, and the samples of each as they are stored."""
    place = 0
    for clip, audio in sounds:
        values = to_integers(audio.to_mono().resample(rate).samples[0], 16).astype(np.int16)
        yield dataclasses.replace(clip, start=place, frames=len(values)), values
        place += len(values)


def in_memory(name: str, rate: int, sounds: Iterable[tuple[Clip, Audio]]) -> AudioSet:
    """A set that is not on disk; rates and channels are brought to the set's, `start` and `frames` are set here."""
    clips, pieces = [], []
    for clip, values in _stored(rate, sounds):
        clips.append(clip)
        pieces.append(values)
    if not clips:
        raise InputError(f"the set {name!r} has no sound; give it at least one clip")
    return AudioSet(name, rate, clips, np.concatenate(pieces))


def save_audio_set(
    folder: Path,
    name: str,
    rate: int,
    sounds: Iterable[tuple[Clip, Audio]],
    about: Mapping[str, str] | None = None,
    beside: Mapping[str, str] | None = None,
) -> AudioSet:
    """Write sounds as they come, mono at `rate`, whole or not at all, and open the set.

    `about` is kept in the index; `beside` is the content of further files by their names.
    """

    def fill(place: Path) -> None:
        clips = _write_samples(place / SAMPLES, _stored(rate, sounds))
        if not clips:
            raise InputError(f"the set {name!r} has no sound; give it at least one clip")
        lines = ",\n".join(json.dumps(dataclasses.asdict(clip), ensure_ascii=False) for clip in clips)
        head = json.dumps({"format": FORMAT, "kind": KIND, "name": name, "rate": rate, "about": dict(about or {})})[:-1]
        (place / INDEX).write_text(f'{head}, "clips": [\n{lines}\n]}}\n', encoding="utf-8")
        for file, content in (beside or {}).items():
            (place / file).write_text(content, encoding="utf-8")

    write_folder(folder, fill)
    return AudioSet.load(folder)


def _write_samples(path: Path, stored: Iterable[tuple[Clip, NDArray[np.int16]]]) -> list[Clip]:
    """Write samples one clip after the other as one array, whose length is put into the header in the end."""

    def header(count: int) -> None:
        file.seek(0)
        np.lib.format.write_array_header_1_0(
            file, {"descr": np.lib.format.dtype_to_descr(np.dtype("<i2")), "fortran_order": False, "shape": (count,)}
        )

    clips: list[Clip] = []
    with path.open("w+b") as file:
        header(2**60)  # leaves room for any number
        first = file.tell()
        for clip, values in stored:
            clips.append(clip)
            file.write(values.astype("<i2", copy=False).tobytes())
        header(sum(clip.frames for clip in clips))
        if file.tell() != first:
            raise ValueError(f"the header of {path} has changed its length from {first} to {file.tell()} bytes")
    return clips


def _part(groups: Sequence[str]) -> dict[AudioSplit, NDArray[np.int64]]:
    """Split by a hash of the group; of two groups or more at least one is trained on and one held out."""
    order = sorted(set(groups), key=lambda group: hash_unit(f"clip:{group}"))
    held = {group for group in order[:-1] if hash_unit(f"clip:{group}") < HELD_OUT} or set(
        order[:1] if order[1:] else ()
    )
    labels = np.array([group in held for group in groups], dtype=bool)
    return {"train": np.flatnonzero(~labels).astype(np.int64), "held-out": np.flatnonzero(labels).astype(np.int64)}


# Batches


@dataclass(frozen=True)
class AudioBatchConfig:
    """Random crops: `frames` samples each, every second of the split equally likely.

    `gain` is the range, in dB, that each crop is made louder by. `predicted` is a folder with a mel for each clip as an
    acoustic model predicts it with the true durations: KEY.npy, float [M, F], F its length over `hop`. Crops then
    begin on frames, and gain is not used.
    """

    batch_size: int = 16
    seed: int = 0
    split: AudioSplit = "train"
    frames: int = 8000
    gain: tuple[float, float] = (-6.0, 3.0)
    hop: int = 160
    predicted: str | None = None

    def __post_init__(self) -> None:
        if min(self.batch_size, self.frames, self.hop) < 1 or self.seed < 0 or not self.gain[0] <= self.gain[1]:
            raise InputError(
                f"data has batch_size {self.batch_size}, frames {self.frames}, hop {self.hop}, seed {self.seed} and"
                f" gain {self.gain}; the first three are at least 1, the seed at least 0, gain rises"
            )
        if self.predicted is not None and self.frames % self.hop:
            raise InputError(f"data.frames {self.frames} must be a multiple of the hop {self.hop} for predicted mels")


@dataclass(frozen=True)
class AudioBatch:
    """Crops of sounds, padded with zeros where a clip is shorter."""

    samples: Tensor  # [B, T] float32
    items: Tensor  # [B] int64, indexes into the set
    step: int
    mel: Tensor | None = None  # [B, M, T / hop], predicted ones


class AudioBatches:
    """Batches of random crops from one split of a set of sounds."""

    def __init__(self, clips: AudioSet, config: AudioBatchConfig) -> None:
        self.clips, self.config = clips, config
        self.indexes = clips.split(config.split)
        if not len(self.indexes):
            raise InputError(f"the set {clips.name!r} has no clip in {config.split!r}; add clips of other groups")
        self.lengths = np.asarray(clips.lengths)[self.indexes]
        self._ends = np.cumsum(np.maximum(self.lengths, config.frames))

    @property
    def epoch_size(self) -> int:
        """Crops that together are as long as the split."""
        return int(-(-self._ends[-1] // self.config.frames))

    def batch_at(self, step: int) -> AudioBatch:
        """The batch of one step, the same on every call."""
        import torch

        config = self.config
        rng = np.random.default_rng([config.seed, step])
        draws = rng.random((config.batch_size, 3))
        rows = np.searchsorted(self._ends, draws[:, 0] * self._ends[-1], side="right")
        samples = np.zeros((config.batch_size, config.frames), np.float32)
        mels: list[Any] = []
        for place, (row, (_, where, gain)) in enumerate(zip(rows, draws, strict=True)):
            index, hop = int(self.indexes[row]), config.hop
            start = int(where * (max(0, int(self.lengths[row]) - config.frames) + 1))
            if config.predicted is not None:
                start = start // hop * hop
                mels.append(self._predicted(index, start // hop))
            crop = self.clips.samples(index, start, config.frames)
            samples[place, : len(crop)] = crop
            if config.predicted is None:
                samples[place] *= 10 ** ((config.gain[0] + gain * (config.gain[1] - config.gain[0])) / 20)
        mel = torch.from_numpy(np.stack(mels)) if mels else None
        items = torch.from_numpy(self.indexes[rows])
        return AudioBatch(torch.from_numpy(samples).clamp_(-1, 1), items, step, mel)

    def _predicted(self, index: int, first: int) -> NDArray[np.float32]:
        """[M, frames / hop] of a clip's predicted mel, its last frame repeated past its end."""
        assert self.config.predicted is not None
        path = Path(self.config.predicted) / f"{self.clips.keys[index]}.npy"
        count = self.config.frames // self.config.hop
        try:
            mel = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise InputError(f"cannot read the predicted mel {path}: {error}; predict it again") from None
        wanted = -(-int(self.clips.lengths[index]) // self.config.hop)
        if mel.ndim != 2 or abs(mel.shape[1] - wanted) > 1:
            raise InputError(f"{path} has the shape {list(mel.shape)}; [M, {wanted}] belongs to its clip")
        places = np.minimum(np.arange(first, first + count), mel.shape[1] - 1)
        return np.asarray(mel[:, places], dtype=np.float32)
