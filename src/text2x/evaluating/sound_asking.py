"""What is asked of a model of sound or of music, and the real sounds beside it, each as long as what is asked for.

Prompts are captions of clips in the order of a hash of the clip: of clips that were held out, and of training clips
that the classifier did not learn from. Prompt number k has the seeds 100 k, 100 k + 1 and so on, as of pictures.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from text2x.audio import Audio
from text2x.data import dataset_folder
from text2x.data.audioset import AudioSet, AudioSplit, open_sounds
from text2x.data.imageset import hash_unit
from text2x.data.tones import tones
from text2x.errors import InputError
from text2x.evaluating.asking import SEEDS_APART, Tell, precision
from text2x.metrics.sound_judge import labels_of, reserved
from text2x.requests import Result
from text2x.sound_diffusion_generator import SoundDiffusionGenerator
from text2x.sound_gan_generator import SoundGANGenerator
from text2x.sound_requests import MusicRequest, SoundRequest
from text2x.token_generator import TokenGenerator

TONES = "tones"  # computed, not prepared
TONE_CLIPS = 480  # the recipes train on the first few of them
SHORTEST = 0.5  # seconds that are asked for at least


@dataclass(frozen=True)
class SoundSubject:
    """A model of sound or music that is evaluated."""

    name: str
    generator: Any  # .generate(SoundRequest | MusicRequest) -> [Result]
    kind: Literal["sound", "music"]
    rate: int  # Hz
    seconds: float  # that it makes by default, and at most here
    melodies: bool = False  # whether it follows them


@dataclass(frozen=True)
class AskedSounds:
    """One request each: the prompt, the clip that it is the caption of, that clip's label and part, the seconds."""

    prompts: tuple[str, ...]
    items: tuple[int, ...]  # indexes into the set
    labels: tuple[str, ...]
    parts: tuple[AudioSplit, ...]
    seconds: tuple[float, ...]
    missing: tuple[str, ...] = ()  # what is less than was asked for, with the reason

    def __len__(self) -> int:
        return len(self.prompts)

    def of(self, rows: Sequence[int]) -> AskedSounds:
        """Some of them."""
        columns = (self.prompts, self.items, self.labels, self.parts, self.seconds)
        return AskedSounds(*(tuple(column[row] for row in rows) for column in columns))  # type: ignore[arg-type]

    def repeated(self, times: int) -> AskedSounds:
        """Each so many times, one after the other."""
        return self.of([row for row in range(len(self)) for _ in range(times)])


@dataclass(frozen=True, eq=False)
class DrawnSounds:
    """What a model made, a prompt's sounds one after the other; how long it took and what was warned of."""

    sounds: tuple[Audio, ...]
    seconds: float  # a sound
    factor: float  # seconds of work a second of sound
    warnings: tuple[str, ...]
    settings: Mapping[str, Any]


def sound_set(name: str, root: Path | None = None, rate: int = 16_000) -> AudioSet:
    """A prepared set of sounds by its name or folder, or the computed `tones` at `rate`; others raise InputError."""
    if name == TONES:
        return tones(TONE_CLIPS, rate)
    folder = sound_folder(name, root)
    if folder is None or not folder.is_dir():
        raise InputError(f"no data set at {folder}; make it with: text2x data prepare {name}")
    return open_sounds(folder)


def sound_folder(name: str, root: Path | None = None) -> Path | None:
    """Where a set lies; None for one that is computed."""
    return None if name == TONES else Path(name) if "/" in name else dataset_folder(name, root)


def sound_subject(name: str, generator: Any) -> SoundSubject:
    """What a generator of sound makes by default; any other raises InputError."""
    if isinstance(generator, TokenGenerator):
        seconds, melodies = generator.sampling.seconds, generator.melody is not None
    elif isinstance(generator, SoundDiffusionGenerator):
        seconds, melodies = generator.recipe.sampling.seconds, False
    elif isinstance(generator, SoundGANGenerator):
        seconds, melodies = generator.network.config.frames * generator.codec.hop / generator.rate, False
    else:
        raise InputError(f"{name} makes neither sound nor music; give a model that does, as one by audiogen")
    kind = "music" if generator.kind == "music" else "sound"
    return SoundSubject(name, generator, kind, generator.rate, seconds, melodies)


def asked_of_sounds(clips: AudioSet, count: int, longest: float) -> AskedSounds:
    """Up to `count` captions of each part, different ones first, as long as their clips within 0.5 s and `longest`."""
    labels = labels_of(clips)
    rows: list[tuple[str, int, str, AudioSplit, float]] = []
    missing = []
    parts: tuple[tuple[AudioSplit, NDArray[np.int64]], ...] = (
        ("train", reserved(clips)[1]),
        ("held-out", clips.split("held-out")),
    )
    for part, indexes in parts:
        order = sorted(map(int, indexes), key=lambda each: hash_unit(f"asked:{clips.keys[each]}"))
        captioned = [index for index in order if clips.clips[index].text]
        first = {clips.clips[index].text: index for index in reversed(captioned)}
        chosen = sorted(captioned, key=lambda each: first[clips.clips[each].text] != each)[:count]
        if len(chosen) < count:
            missing.append(f"{part}: {count} captions were asked for, it has {len(chosen)}")
        for index in chosen:
            own = int(clips.lengths[index]) / clips.rate
            rows.append((clips.clips[index].text, index, labels[index], part, min(longest, max(SHORTEST, own))))
    if not rows:
        raise InputError(f"the set {clips.name!r} has no captions to ask for; give another --data")
    return AskedSounds(*(tuple(column) for column in zip(*rows, strict=True)), tuple(missing))  # type: ignore[arg-type]


def real_sounds(clips: AudioSet, indexes: Sequence[int] | NDArray[np.int64], longest: float) -> tuple[Audio, ...]:
    """Real sounds, cut off where they are longer than is ever asked for."""
    size = max(1, round(longest * clips.rate))
    return tuple(Audio(clips.samples(int(index), 0, size), clips.rate) for index in indexes)


def drawn_sounds(
    subject: SoundSubject,
    asked: AskedSounds,
    seeds: int,
    fast: bool = False,
    options: Mapping[str, Any] | None = None,
    melodies: Sequence[Audio] | None = None,
    tell: Tell | None = None,
) -> DrawnSounds:
    """`seeds` sounds of each prompt, along a melody each where they are given; `options` are further fields."""
    if not 1 <= seeds <= SEEDS_APART:
        raise InputError(f"seeds is {seeds}; take 1 to {SEEDS_APART} sounds a prompt")
    ask = MusicRequest if subject.kind == "music" else SoundRequest
    sounds: list[Audio] = []
    warnings: dict[str, None] = {}
    settings: Mapping[str, Any] = {}
    begin = time.perf_counter()
    with precision(subject.generator, fast):
        for place, (prompt, seconds) in enumerate(zip(asked.prompts, asked.seconds, strict=True)):
            more = {**(options or {}), **({} if melodies is None else {"melody": melodies[place]})}
            request = ask(prompt, count=seeds, seed=SEEDS_APART * place, seconds=seconds, **more)
            made: list[Result] = subject.generator.generate(request)
            for result in made:
                if not isinstance(result.media, Audio):
                    raise InputError(f"{subject.name} makes {type(result.media).__name__.lower()} and no sound")
                sounds.append(result.media)
                warnings.update(dict.fromkeys(result.warnings))
                settings = settings or dict(result.settings)
            if tell is not None:
                tell(f"sounds by {subject.name}", place + 1, len(asked))
    spent = time.perf_counter() - begin
    used = {name: value for name, value in settings.items() if name not in ("prompt", "negative", "seconds", "model")}
    factor = spent / sum(each.seconds for each in sounds)
    return DrawnSounds(tuple(sounds), spent / len(sounds), factor, tuple(warnings), used)
