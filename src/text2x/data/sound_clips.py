"""What sets of sounds share: a sound made ready for a set, near twins that must stay in one split, and the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from text2x.audio import Audio
from text2x.data.audioset import AudioSet, Clip
from text2x.errors import InputError

RATE = 16_000  # Hz
SHORTEST, LONGEST = 0.015, 10.0  # seconds of a clip; of longer ones the beginning is taken
TRIMMED, KEPT = 50.0, 0.02  # dB below the loudest frame that count as silence, and seconds of it that stay
FADE = 0.05  # seconds, where a clip is cut
PEAK = -1.0  # dBFS
SILENT = -60.0  # dBFS; a peak below it is no sound
BANDS, PARTS = 24, 12  # of a fingerprint
ALIKE = 0.97  # cosine of two fingerprints; a clip played 20 % faster or filtered stays below it
LENGTHS = 1.15  # ratio of the lengths of twins, at most


@dataclass(frozen=True)
class SoundReport:
    """What was prepared; `labels` and `licences` count clips, `unreadable` names what was left out and why."""

    folder: Path
    clips: int
    seconds: float
    held_out: int
    labels: dict[str, int]
    licences: dict[str, int]
    captions: int  # different ones
    unreadable: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def sound_report(
    folder: Path, clips: AudioSet, unreadable: Sequence[str] = (), warnings: Sequence[str] = ()
) -> SoundReport:
    """Count the clips of a set that was written to `folder`."""
    told = {text for clip in clips.clips for text in (clip.text, *clip.captions) if text}
    return SoundReport(
        folder,
        len(clips),
        clips.seconds,
        len(clips.split("held-out")),
        dict(Counter(clip.label for clip in clips.clips if clip.label).most_common()),
        dict(Counter(clip.licence for clip in clips.clips).most_common()),
        len(told),
        tuple(unreadable),
        tuple(warnings),
    )


@dataclass(frozen=True)
class Found:
    """A clip before it is stored, and how its sound is read; `load` may raise InputError."""

    clip: Clip
    load: Callable[[], Audio]


def reader(path: Path) -> Callable[[], Audio]:
    """A function that reads a file; where it cannot, InputError does not repeat the path."""

    def read() -> Audio:
        try:
            return Audio.read(path)
        except InputError as error:
            raise InputError(str(error).removeprefix(f"{path} ")) from None

    return read


def tidied(sound: Audio, rate: int = RATE) -> tuple[Audio, bool]:
    """Mono at `rate` without silence around it, its peak at -1 dBFS; True if its end was cut off.

    Silent and too short sounds raise InputError.
    """
    if sound.peak() < SILENT:
        raise InputError(f"silent: its peak is {sound.peak():.0f} dBFS; at least {SILENT:.0f} is needed")
    mono = sound.to_mono()
    if mono.peak() < SILENT:  # channels that take each other away
        mono = Audio(sound.samples[:1], sound.rate)
    kept = mono.resample(rate).trim(TRIMMED, KEPT)
    if kept.seconds < SHORTEST:
        raise InputError(f"too short: {kept.seconds:.3f} s; at least {SHORTEST} s is needed")
    long = kept.seconds > LONGEST
    if long:
        kept = kept.cut(0, LONGEST).fade(0, FADE)
    return kept.normalised(peak=PEAK), long


def gathered(
    found: Sequence[Found], rate: int, on_progress: Callable[[int, int], None] | None = None
) -> tuple[list[tuple[Clip, Audio]], list[str], list[str]]:
    """Clips with their sounds, what was left out, and warnings; near twins get one group, equal sounds are one clip."""
    kept: list[tuple[Clip, Audio]] = []
    places: dict[bytes, int] = {}  # of the sounds that are kept, by their samples
    left_out, cut, equal = [], [], []
    for number, each in enumerate(found):
        try:
            sound, long = tidied(each.load(), rate)
            place = places.setdefault(sound.to_int16().tobytes(), len(kept))
            if place < len(kept):
                equal.append(each.clip.key)
                kept[place] = (_joined(kept[place][0], each.clip), kept[place][1])
                continue
            kept.append((each.clip, sound))
            cut += [each.clip.key] * long
        except InputError as error:
            left_out.append(f"{each.clip.key}: {error}")
        finally:
            if on_progress is not None:
                on_progress(number + 1, len(found))
    warnings = []
    if cut:
        warnings.append(
            f"{len(cut):,} sounds are longer than {LONGEST:g} s; their beginnings were taken ({_some(cut)})"
        )
    if equal:
        warnings.append(f"{len(equal):,} sounds are the same as another and were joined to it ({_some(equal)})")
    return grouped(kept, rate), left_out, warnings


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + ", …" * (len(names) > 3)


def _joined(first: Clip, second: Clip) -> Clip:
    """The first clip with the captions of an equal sound too, unless that says it is something else."""
    if first.label != second.label:
        return first
    captions = dict.fromkeys([*first.captions, second.text, *second.captions])
    return replace(first, captions=tuple(each for each in captions if each and each != first.text))


# Near twins


def fingerprint(sound: Audio, rate: int) -> NDArray[np.float32]:
    """[24 * 12] of length 1: the power in bands over parts of the sound, in decibels, about its mean."""
    samples = np.pad(sound.samples[0], (0, max(0, 1024 - sound.frames)))
    starts = np.linspace(0, len(samples) - 512, 4 * PARTS).astype(int)
    frames = samples[starts[:, None] + np.arange(512)] * np.hanning(512)
    power = np.abs(np.fft.rfft(frames)) ** 2
    edges = np.unique(np.geomspace(2, 257, BANDS + 1).astype(int))
    bands = np.add.reduceat(power[:, :256], edges[:-1], axis=1)
    levels = 10 * np.log10(bands.reshape(PARTS, 4, -1).mean(1) + 1e-6)
    levels = levels - levels.mean()
    return (levels / max(1e-9, float(np.linalg.norm(levels)))).astype(np.float32).ravel()


def grouped(sounds: Iterable[tuple[Clip, Audio]], rate: int) -> list[tuple[Clip, Audio]]:
    """Clips that sound the same, whatever they are called, brought into one group."""
    listed = list(sounds)
    if not listed:
        return listed
    prints = np.stack([fingerprint(sound, rate) for _, sound in listed])
    lengths = np.array([sound.seconds for _, sound in listed])
    alike = prints @ prints.T > ALIKE
    alike &= np.maximum(lengths[:, None], lengths) / np.minimum(lengths[:, None], lengths) < LENGTHS
    parents = {clip.group: clip.group for clip, _ in listed}

    def root(group: str) -> str:
        while parents[group] != group:
            group = parents[group]
        return group

    for first, second in np.argwhere(np.triu(alike, 1)):
        one, two = sorted((root(listed[first][0].group), root(listed[second][0].group)))
        parents[two] = one
    return [(replace(clip, group=root(clip.group)), sound) for clip, sound in listed]
