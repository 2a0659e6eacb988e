"""Spoken sentences on disk: `index.json`, `audio.i16` (one channel, int16) and `pitch.f32` (Hz a frame, 0: no voice).

A clip is a whole number of frames of `hop` samples; its phones' durations are frames and add up to all of them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from text2x.alignment import symbol_means
from text2x.data.imageset import INDEX, hash_unit, write_folder
from text2x.data.pitch import PitchConfig, track
from text2x.errors import InputError
from text2x.files import file_hash
from text2x.spoken.phone_set import MARKS, PADDING, PHONES, SILENCE

SpeechSplit = Literal["train", "held-out"]
SPEECH_SPLITS: tuple[SpeechSplit, ...] = get_args(SpeechSplit)

FORMAT = 1
KIND = "speech"
AUDIO, PITCH = "audio.i16", "pitch.f32"
RATE, HOP = 16_000, 160  # Hz and samples: frames of 10 ms
HELD_OUT = 0.1  # of the sentences
CHECKED_SIZE = 512_000_000  # bytes; larger sound is not hashed each time it is opened


@dataclass(frozen=True)
class Clip:
    """One spoken sentence; `durations` is None where nothing is known of its timing."""

    key: str
    text: str
    language: str
    speaker: str
    phones: tuple[str, ...]
    durations: tuple[int, ...] | None
    samples: int
    licence: str
    start: int = 0  # of its first sample in the set

    def __post_init__(self) -> None:
        if not self.phones:
            raise InputError(f"{self.key} has no phones")
        if self.durations is not None and (len(self.durations) != len(self.phones) or min(self.durations) < 0):
            raise InputError(f"{self.key} has {len(self.phones)} phones but {len(self.durations)} durations")


def same_words(text: str) -> str:
    """The text by which sentences count as the same: small letters and digits of any script, words apart by a space."""
    kept = "".join(sign if sign.isalnum() or _joins(sign) else " " for sign in text.casefold())
    return " ".join(kept.split())


def _joins(sign: str) -> bool:
    import unicodedata

    return unicodedata.category(sign) in ("Mn", "Mc")  # vowel signs of Brahmic scripts


def split_of_text(text: str) -> SpeechSplit:
    """Train or held out, by a hash of the words: the same sentence never lies in both, whoever says it."""
    return "held-out" if hash_unit(f"sentence:{same_words(text)}") < HELD_OUT else "train"


class SpeechSet:
    """Clips, their sound and pitch; the sound stays on disk until it is asked for."""

    def __init__(
        self,
        name: str,
        clips: Sequence[Clip],
        audio: NDArray[np.int16],
        pitch: NDArray[np.float32],
        rate: int = RATE,
        hop: int = HOP,
        about: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.name, self.clips, self.audio, self.pitch = name, tuple(clips), audio, pitch
        self.rate, self.hop, self.about, self.folder = rate, hop, dict(about or {}), folder
        for clip in self.clips:
            _check(clip, len(audio), hop)
        if len(pitch) != len(audio) // hop:
            raise InputError(f"the set {name!r} has {len(pitch)} frames of pitch for {len(audio) // hop} of sound")
        self.speakers = tuple(dict.fromkeys(clip.speaker for clip in self.clips))
        self.languages = tuple(dict.fromkeys(clip.language for clip in self.clips))
        self.phones = phone_table(clip.phones for clip in self.clips)
        self._splits = _part(self.clips)

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def seconds(self) -> float:
        """Of all clips together."""
        return sum(clip.samples for clip in self.clips) / self.rate

    @property
    def aligned(self) -> bool:
        """Whether the durations of every clip's phones are known."""
        return all(clip.durations is not None for clip in self.clips)

    def split(self, name: SpeechSplit) -> NDArray[np.int64]:
        """Clip indexes of one part, ascending."""
        if name not in self._splits:
            raise InputError(f"unknown split {name!r}; splits are {', '.join(SPEECH_SPLITS)}")
        return self._splits[name]

    def samples_of(self, index: int) -> NDArray[np.int16]:
        """The sound of a clip [T]."""
        clip = self.clips[index]
        return np.asarray(self.audio[clip.start : clip.start + clip.samples])

    def pitch_of(self, index: int) -> NDArray[np.float32]:
        """The pitch of a clip's frames [F] in Hz, 0 where there is no voice."""
        clip = self.clips[index]
        first = clip.start // self.hop
        return np.asarray(self.pitch[first : first + clip.samples // self.hop])

    def phone_pitch_of(self, index: int) -> NDArray[np.float32]:
        """The mean pitch of each phone in Hz [L], 0 where there is no voice; of an aligned clip only."""
        import torch

        clip = self.clips[index]
        if clip.durations is None:
            raise InputError(f"the phones of {clip.key} have no durations; learn them first")
        frames = torch.from_numpy(np.array(self.pitch_of(index)))
        return symbol_means(frames[None], torch.tensor([clip.durations]))[0].numpy()

    @classmethod
    def load(cls, folder: Path, check: bool | None = None) -> SpeechSet:
        """Open a prepared set; what is damaged, or no such set, raises InputError.

        `check` compares the hashes of the sound and pitch: by default where that takes less than a second.
        """
        try:
            index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{folder} is no speech set ({type(error).__name__}); prepare it again") from None
        if not isinstance(index, dict) or index.get("kind") != KIND or index.get("format") != FORMAT:
            raise InputError(f"{folder} is no speech set of format {FORMAT}; prepare it again")
        try:
            arrays = [_open(folder / name, index["files"][name], check) for name in (AUDIO, PITCH)]
            clips = [_clip(values) for values in index["clips"]]
            shape = (int(index["rate"]), int(index["hop"]))
            return cls(str(index["name"]), clips, arrays[0], arrays[1], *shape, index["about"], folder)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{folder} is damaged ({type(error).__name__}: {error}); prepare it again") from None


def phone_table(sequences: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """The symbols in the order of their ids, padding first: PHONES, or where others are used those of the set alone."""
    used = {phone for sequence in sequences for phone in sequence}
    if used <= set(PHONES):
        return PHONES
    return (PADDING, SILENCE, *MARKS, *sorted(used - {PADDING, SILENCE, *MARKS}))


def _part(clips: Sequence[Clip]) -> dict[SpeechSplit, NDArray[np.int64]]:
    """Split by sentence; a set of few still trains on one and, if it has two, holds one out."""
    order = sorted({same_words(clip.text) for clip in clips}, key=lambda text: hash_unit(f"sentence:{text}"))
    kept = set(order[-1:])
    held = set(order[:1]) - kept
    forced = {**dict.fromkeys(held, "held-out"), **dict.fromkeys(kept, "train")}
    labels = np.array([forced.get(same_words(clip.text)) or split_of_text(clip.text) for clip in clips], dtype=object)
    return {name: np.flatnonzero(labels == name).astype(np.int64) for name in SPEECH_SPLITS}


def _check(clip: Clip, length: int, hop: int) -> None:
    if clip.samples <= 0 or clip.samples % hop or clip.start % hop or clip.start + clip.samples > length:
        raise InputError(f"{clip.key} has no place in the sound: {clip.samples} samples from {clip.start} of {length}")
    if clip.durations is not None and sum(clip.durations) * hop != clip.samples:
        raise InputError(
            f"the durations of {clip.key} are {sum(clip.durations)} frames, its sound {clip.samples // hop}"
        )


def _clip(values: dict[str, Any]) -> Clip:
    durations = values["durations"]
    known = None if durations is None else tuple(int(each) for each in durations)
    return Clip(**{**values, "phones": tuple(values["phones"].split(" ")), "durations": known})


def _open(path: Path, noted: Mapping[str, Any], check: bool | None) -> NDArray[Any]:
    """A file of numbers, left on disk."""
    if not path.is_file() or path.stat().st_size != noted["size"] or not noted["size"]:
        raise InputError(f"{path} is missing or cut off; prepare the data again")
    small = noted["size"] <= CHECKED_SIZE
    if (small if check is None else check) and file_hash(path) != noted["sha256"]:
        raise InputError(f"{path} is not what was prepared: its SHA-256 differs; prepare the data again")
    return np.memmap(path, dtype="<i2" if path.name == AUDIO else "<f4", mode="r")


@dataclass(frozen=True)
class Spoken:
    """A clip with its sound [T] in [-1, 1], and the pitch of its frames [T // hop] in Hz if that is known."""

    clip: Clip
    samples: NDArray[np.floating]
    pitch: NDArray[np.floating] | None = None


@dataclass
class SpeechWriter:
    """Clips as they come, written to a folder; `finish` writes the index."""

    folder: Path
    rate: int = RATE
    hop: int = HOP
    pitch: PitchConfig = field(default_factory=PitchConfig)
    clips: list[Clip] = field(default_factory=list)
    length: int = 0

    def __post_init__(self) -> None:
        self._files: dict[str, BinaryIO] = {name: (self.folder / name).open("wb") for name in (AUDIO, PITCH)}
        self._hashes = {name: hashlib.sha256() for name in self._files}

    def add(self, spoken: Spoken) -> None:
        """One clip; a last part of a frame is filled up with silence, `samples` and `start` of the clip are set."""
        whole = -(-len(spoken.samples) // self.hop) * self.hop
        sound = np.pad(np.asarray(spoken.samples, np.float64), (0, whole - len(spoken.samples)))
        made = dataclasses.replace(spoken.clip, samples=whole, start=self.length)
        _check(made, self.length + whole, self.hop)
        pitch = track(sound, self.rate, self.hop, self.pitch) if spoken.pitch is None else spoken.pitch
        if len(pitch) != whole // self.hop:
            raise InputError(f"{made.key} has {len(pitch)} frames of pitch for {whole // self.hop} of sound")
        self._write(AUDIO, np.clip(np.rint(sound * 32768), -32768, 32767).astype("<i2").tobytes())
        self._write(PITCH, pitch.astype("<f4").tobytes())
        self.clips.append(made)
        self.length += whole

    def _write(self, name: str, data: bytes) -> None:
        self._files[name].write(data)
        self._hashes[name].update(data)

    def close(self) -> None:
        """Close the files of sound and pitch."""
        for file in self._files.values():
            file.close()

    def finish(self, name: str, about: Mapping[str, str]) -> None:
        """Write the index, one clip a line; no clip at all raises InputError."""
        self.close()
        if not self.clips:
            raise InputError(f"there is no usable speech for {name}")
        files = {
            each: {"size": (self.folder / each).stat().st_size, "sha256": self._hashes[each].hexdigest()}
            for each in self._files
        }
        head = {"format": FORMAT, "kind": KIND, "name": name, "rate": self.rate, "hop": self.hop}
        head |= {"about": dict(about), "files": files}
        lines = ",\n".join(_line(clip) for clip in self.clips)
        start = json.dumps(head, ensure_ascii=False)[:-1]
        (self.folder / INDEX).write_text(f'{start}, "clips": [\n{lines}\n]}}\n', encoding="utf-8")


def _line(clip: Clip) -> str:
    return json.dumps({**dataclasses.asdict(clip), "phones": " ".join(clip.phones)}, ensure_ascii=False)


@dataclass(frozen=True)
class SpeechReport:
    """What was prepared; `unreadable` names each recording that was not used and why."""

    folder: Path
    clips: int
    seconds: float
    aligned: int
    speakers: tuple[str, ...]
    languages: tuple[str, ...]
    phones: int  # different ones that occur
    unreadable: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def speech_report(
    folder: Path, clips: Sequence[Clip], rate: int, unreadable: Sequence[str] = (), warnings: Sequence[str] = ()
) -> SpeechReport:
    """Count the clips that were written to `folder`."""
    phones = {phone for clip in clips for phone in clip.phones}
    return SpeechReport(
        folder,
        len(clips),
        sum(clip.samples for clip in clips) / rate,
        sum(clip.durations is not None for clip in clips),
        tuple(dict.fromkeys(clip.speaker for clip in clips)),
        tuple(dict.fromkeys(clip.language for clip in clips)),
        len(phones),
        tuple(unreadable),
        tuple(warnings),
    )


def write_speech(folder: Path, clips: Iterable[Spoken], rate: int, hop: int, about: Mapping[str, str]) -> list[Clip]:
    """Write clips with their sound as a set, whole or not at all; returns the clips as they were written."""
    written: list[Clip] = []

    def fill(aside: Path) -> None:
        writer = SpeechWriter(aside, rate, hop)
        try:
            for each in clips:
                writer.add(each)
            writer.finish(folder.name, about)
        finally:
            writer.close()
        written.extend(writer.clips)

    write_folder(folder, fill)
    return written
