"""Comparing methods that make sounds: one yardstick for all, and what `running` and `report` ask of a medium.

Sounds are kept as int16 [N, T] at the rate of the set, each as long as was asked for and followed by zeros.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from text2x.audio import Audio
from text2x.comparing.budgets import AnyRecipe
from text2x.comparing.claims import ComparisonSet, Method
from text2x.comparing.medium import Made, Medium
from text2x.comparing.verdicts import Values
from text2x.data.audioset import AudioSet
from text2x.errors import InputError
from text2x.evaluating import Asked, SoundSubject, sound_folder, sound_instruments, sound_set, sound_subject
from text2x.evaluating.sound_asking import AskedSounds, asked_of_sounds, drawn_sounds
from text2x.evaluating.sound_measuring import (
    RealSounds,
    SoundInstruments,
    real_roles,
    scaled_copies,
    scaling_of,
    sources_of,
)
from text2x.evaluating.sound_report import spectrogram
from text2x.files import read_json
from text2x.media import Image, contact_sheet
from text2x.metrics.distances import kernel_difference, kernel_distance
from text2x.metrics.diversity import diversity
from text2x.metrics.intervals import mean
from text2x.metrics.metric import Metric
from text2x.metrics.sound_judge import SoundJudge, heard, wave
from text2x.metrics.sounds import SPACE, mel_statistics, nearest_ratio, silent
from text2x.sound_adversarial import SoundGANRecipe
from text2x.sound_diffusion import SoundDiffusionRecipe, is_sound_diffusion
from text2x.sound_models import build_sound_generator
from text2x.token_models import TokenRecipe

TONE_RATE = 8000  # Hz of the recipes on tones
FULL_SCALE = 32767.0
SHEET_PROMPTS = 8
INTRODUCTION = """\
Each training had the same data and the same budget; two methods with one codec share its training, and both count it.
Agreement: a classifier that learned the labels of other training clips names that of the clip whose caption was asked
for. Fidelity: kernel distance in the classifier's features to training clips that it has not heard; it is no score of
other papers. Every method is asked for sounds as long as those clips. Brackets hold 95 % intervals over prompts;
verdicts are on differences prompt by prompt, and no correction is made for there being several. Rows in italics are not
methods: the real clips of the same captions, the training clip of the nearest caption (which the classifier mostly
learned), and noise.
"""


@dataclass(frozen=True, eq=False)
class SoundData:
    """A set of sounds, and where it lies; None for one that is computed."""

    clips: AudioSet
    folder: Path | None


@dataclass(frozen=True, eq=False)
class SoundYard:
    """What every method of sounds is asked and measured by."""

    sounds: AskedSounds
    seeds: int
    subject: SoundSubject  # rate and seconds that all methods have in common
    clips: AudioSet
    real: RealSounds
    instruments: SoundInstruments
    left_out: tuple[str, ...]
    fast: bool = False  # made in bfloat16

    @property
    def asked(self) -> Asked:
        """The same as of pictures: the label is what the prompt names."""
        asked = self.sounds
        styles = (None,) * len(asked)
        return Asked(asked.prompts, asked.labels, asked.parts, styles, asked.missing)  # type: ignore[arg-type]

    @property
    def judge(self) -> SoundJudge:
        """The classifier."""
        assert self.instruments.judge is not None
        return self.instruments.judge

    def of_few(self, count: int) -> SoundYard:
        """The same with only the first prompts of each part."""
        parts = self.sounds.parts
        places = [[row for row, own in enumerate(parts) if own == part] for part in dict.fromkeys(parts)]
        rows = [row for each in places for row in each[:count]]
        return replace(self, sounds=self.sounds.of(rows))

    def question(self, more: Mapping[str, Any]) -> str:
        """A hash of all that a drawing depends on."""
        shape = [self.clips.rate, self.subject.seconds]
        about = [asdict(self.sounds), self.seeds, shape, more, *(["fast"] if self.fast else [])]
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()

    def measures(self) -> list[str]:
        """The names of what figures are taken by: other ones need measuring anew."""
        return [self.judge.space, SPACE]

    def levels(self, sounds: Sequence[Audio]) -> Tensor:
        """int16 [N, T] of a sound a prompt and seed."""
        rows = torch.zeros(len(sounds), round(self.subject.seconds * self.clips.rate), dtype=torch.int16)
        for row, (sound, size) in enumerate(zip(sounds, self._sizes(), strict=True)):
            samples = wave(sound, self.clips.rate).clamp(-1, 1)[:size]
            rows[row, : len(samples)] = (samples * FULL_SCALE).round().short()
        return rows

    def audio(self, levels: Tensor) -> list[Audio]:
        """The sounds again, each as long as it was asked for."""
        pairs = zip(levels, self._sizes(), strict=True)
        return [Audio(row[:size].numpy() / np.float32(FULL_SCALE), self.clips.rate) for row, size in pairs]

    def _sizes(self) -> list[int]:
        whole = self.sounds.repeated(self.seeds)
        return [max(1, round(seconds * self.clips.rate)) for seconds in whole.seconds]


# Drawing


def _data(name: str, root: Path | None) -> SoundData:
    return SoundData(sound_set(name, root, TONE_RATE), sound_folder(name, root))


def _check(method: Method, recipes: Sequence[AnyRecipe]) -> None:
    if not isinstance(recipes[0], (TokenRecipe, SoundDiffusionRecipe, SoundGANRecipe)):
        raise InputError(f"the recipe {method.recipe!r} makes no sounds, so it cannot be compared; name another")


def _generator(own: Path, others: Sequence[Path], device: str) -> Any:
    """A run's generator; the codec that it was trained on lies in its own folder."""
    return build_sound_generator(read_json(own / "recipe.json"), own, device)


def _one_step(values: Mapping[str, Any]) -> bool:
    return not is_sound_diffusion(values)


def _yardstick(
    chosen: ComparisonSet, data: SoundData, generators: Mapping[str, Any], judge: Path | None, device: str
) -> SoundYard:
    if judge is not None:
        raise InputError(f"the classifier of sounds is trained on the set itself; leave out --judge {judge}")
    subjects = [sound_subject(name, each) for name, each in generators.items()]
    subject = min(subjects, key=lambda each: each.seconds)
    instruments = sound_instruments(data.clips, data.folder)
    if instruments.judge is None:
        raise InputError(f"sounds are compared by a classifier: {'; '.join(instruments.left_out)}")
    asked = asked_of_sounds(data.clips, chosen.prompts, subject.seconds)
    known = [row for row, label in enumerate(asked.labels) if label in instruments.judge.labels]
    left_out = [*instruments.left_out, *(f"less than was asked for: {each}" for each in asked.missing)]
    if len(known) < len(asked):
        left_out.append(f"{len(asked) - len(known)} prompts of labels that the classifier never learned")
    real = real_roles(data.clips, instruments, subject.seconds)
    return SoundYard(
        asked.of(known), chosen.seeds, subject, data.clips, real, instruments, tuple(left_out), chosen.fast
    )


def _draw(yard: SoundYard, name: str, generator: Any, options: Mapping[str, Any]) -> Made:
    subject = replace(yard.subject, name=name, generator=generator)
    made = drawn_sounds(subject, yard.sounds, yard.seeds, yard.fast, options)
    settings = {key: value for key, value in made.settings.items() if isinstance(value, (str, int, float))}
    return Made(yard.levels(made.sounds), made.seconds, settings)


# Measuring


def _measure(yard: SoundYard, levels: Tensor) -> Values:
    return measured(yard, yard.audio(levels))


def measured(yard: SoundYard, sounds: Sequence[Audio]) -> Values:
    """Agreement, fidelity, diversity, copies and silence of a method's sounds, or of a companion's."""
    judge, whole = yard.judge, yard.sounds.repeated(yard.seeds)
    features, likely = judge.listen(sounds)
    own = np.array([judge.labels.index(label) for label in whole.labels])
    hits = (likely.argmax(1) == own).astype(np.float64)
    units = np.arange(len(sounds)) // yard.seeds
    values = [float(hits[units == unit].mean()) for unit in range(len(yard.sounds))]
    figures: dict[str, Metric] = {"agreement": mean(values, judge.space)}
    for part in dict.fromkeys(yard.sounds.parts):
        some = [value for value, each in zip(values, yard.sounds.parts, strict=True) if each == part]
        figures[f"agreement, {part}"] = mean(some, judge.space)
    x, reference = _scaled(yard, features)
    plain = mel_statistics([heard(each, yard.clips.rate) for each in sounds], yard.clips.rate)
    known = yard.real.features[SPACE]
    training, held_out = known[yard.real.training], known[yard.real.held_out]
    waves = [wave(each, each.rate) for each in sounds]
    for name, measure in (
        ("fidelity", lambda: kernel_distance(x, reference, judge.space)),
        ("diversity", lambda: diversity(x, whole.prompts, judge.space)),
        ("nearest ratio", lambda: nearest_ratio(plain, training, held_out)),
        ("copies", lambda: scaled_copies(plain, training)),
        ("silent", lambda: silent(waves, [str(unit) for unit in units])),
    ):
        with suppress(InputError):  # too few sounds: the table shows a gap
            figures[name] = measure()
    return Values(figures, {"agreement": values})


def _scaled(yard: SoundYard, *features: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Features, and those of the reference last, scaled by the reference."""
    reference = yard.real.features[yard.judge.space][yard.real.reference]
    scaling = scaling_of(reference, yard.judge.space)
    return tuple(scaling(each) for each in (*features, reference))


def _companions(yard: SoundYard) -> dict[str, Values]:
    """Real clips of the same captions, the retrieval and noise, measured as the methods are."""
    whole = yard.sounds.repeated(yard.seeds)
    sources = sources_of(whole, (), yard.clips, yard.real, yard.instruments, yard.subject.seconds)
    found = {name: measured(yard, sounds) for name, sounds in sources.items() if name != "generated"}
    for name in ("diversity", "nearest ratio", "copies"):  # real clips are one a prompt, and half are training clips
        figures = found["real"].figures
        found["real"] = replace(found["real"], figures={key: each for key, each in figures.items() if key != name})
    return found


def _difference(yard: SoundYard, measure: str, first: Tensor, second: Tensor) -> Metric:
    """The first sounds' kernel distance minus that of the second; a jackknife over prompts, and over real clips."""
    if measure != "fidelity":
        raise InputError(f"sounds have no {measure}; claim fidelity or agreement")
    one, other = (yard.judge.listen(yard.audio(each))[0] for each in (first, second))
    *both, reference = _scaled(yard, one, other)
    units = np.arange(len(first)) // yard.seeds
    return kernel_difference(both[0], both[1], reference, units, yard.judge.space)


def _sheet(yard: SoundYard, made: Mapping[str, Tensor]) -> Image:
    """A row a prompt of both parts in turn: spectrograms of the real clip and of each method's first seed."""
    parts = yard.sounds.parts
    by_part = [[row for row, own in enumerate(parts) if own == part] for part in dict.fromkeys(parts)]
    rows = [each[place] for place in range(SHEET_PROMPTS) for each in by_part if place < len(each)][:SHEET_PROMPTS]
    sounds = {name: yard.audio(each) for name, each in made.items()}
    real = sources_of(yard.sounds, (), yard.clips, yard.real, yard.instruments, yard.subject.seconds)["real"]
    longest = yard.subject.seconds
    tiles, labels = [], []
    for row in rows:
        tiles += [spectrogram(real[row], longest)]
        labels += [f"real: {yard.sounds.prompts[row]}"]
        tiles += [spectrogram(each[row * yard.seeds], longest) for each in sounds.values()]
        labels += list(sounds)
    return contact_sheet(tiles, columns=1 + len(made), labels=labels, scale=2)


SOUNDS = Medium(
    noun="sound",
    file="sounds.safetensors",
    introduction=INTRODUCTION,
    figures={
        "agreement": "agreement: class accuracy (more is better)",
        "fidelity": "fidelity: kernel distance (less is better)",
        "diversity": "diversity: distance between seeds",
        "nearest ratio": "nearest training over nearest held-out clip",
        "copies": "copies",
        "silent": "silent sounds",
    },
    curves=("agreement", "fidelity"),
    columns=lambda yard: (
        f"{yard.seeds} sounds each of at most {yard.subject.seconds:g} s; agreement and fidelity by the "
        f"{yard.judge.space}; nearest ratio and copies in {SPACE}"
    ),
    data_set=_data,
    check=_check,
    generator=_generator,
    one_step=_one_step,
    yardstick=_yardstick,
    draw=_draw,
    measure=_measure,
    companions=_companions,
    difference=_difference,
    sheet=_sheet,
)
