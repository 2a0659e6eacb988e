"""Comparing methods that make clips: one yardstick for all, and what `running` and `report` ask of a medium.

Clips are measured at the smallest size and the shortest length that all methods make: each makes a clip as it is used
to, of which the first frames are kept. Levels are uint8 [N, T, 4, S, S], premultiplied RGBA.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from text2x.comparing.budgets import AnyRecipe
from text2x.comparing.claims import ComparisonSet, Method
from text2x.comparing.medium import Made, Medium
from text2x.comparing.verdicts import Values
from text2x.data.clipset import ClipSet
from text2x.errors import InputError
from text2x.evaluating import (
    Asked,
    ClipSubject,
    Instruments,
    asked_of_clips,
    clip_instruments,
    clip_set,
    clip_subject,
    drawn_clips,
)
from text2x.evaluating.clip_asking import real_clips, row_of
from text2x.evaluating.clip_measuring import CONTROLS, RealClips, clip_distractors, motion_figures, real_roles
from text2x.evaluating.clip_report import rows_of_frames
from text2x.files import read_json
from text2x.library import info
from text2x.media import Image
from text2x.metrics import motion
from text2x.metrics.agreement import Distractors
from text2x.metrics.clips import SIDE, Clips, clip_copies, frame_agreement, levels, likeness
from text2x.metrics.clips import noise as noise_clips
from text2x.metrics.companions import nearest_captions
from text2x.metrics.distances import LEAST_KERNEL, kernel_difference
from text2x.metrics.intervals import mean
from text2x.metrics.metric import Metric
from text2x.metrics.motion import ClipMotion
from text2x.video_adversarial import VideoGANRecipe
from text2x.video_models import any_video_generator
from text2x.video_recipe import VideoRecipe

SHEET_PROMPTS = 4
SHEET_FRAMES = 8
INTRODUCTION = """\
Each training had the same data and the same budget. Clips are measured at the size and the length that all methods
make: each makes a clip as it is used to, of which the first frames are kept. Agreement: the judge, a network that
guided nothing, finds the own prompt among 100, in the mean over frames. Likeness: distance of frames to the nearest
real ones of the same concept. Motion: kernel distance of how followed points move to real clips that no method was
shown, if there are enough of them. Brackets hold 95 % intervals over prompts; verdicts on agreement and likeness are on
differences prompt by prompt, and no correction is made for there being several. Rows in italics are not methods: other
real clips; the same ones frozen, shuffled and reversed, which the motion figures have to tell from them; the training
clip of the nearest caption; noise. Where clips are loops, reversed ones move as real ones do.
"""


@dataclass(frozen=True, eq=False)
class ClipYard:
    """What every method of clips is asked and measured by."""

    asked: Asked
    seeds: int
    subject: ClipSubject  # size, frames and groups that all methods have in common
    data: ClipSet
    real: RealClips
    instruments: Instruments
    left_out: tuple[str, ...]
    fast: bool = False  # drawn in bfloat16

    @cached_property
    def reference(self) -> list[ClipMotion]:
        """How the real clips of the reference move."""
        return motion.measured(self.real.reference.videos())

    @cached_property
    def distractors(self) -> Distractors | None:
        """One caption of each real concept; None without a judge."""
        return clip_distractors(self.data, self.instruments)

    def clips(self, frames: NDArray[np.uint8]) -> Clips:
        """The prompts of every clip that is asked for, with frames."""
        asked = self.asked
        columns = (
            tuple(value for value in column for _ in range(self.seeds))
            for column in (asked.prompts, asked.concepts, asked.parts)
        )
        return Clips(frames, (self.subject.rate,) * len(frames), *columns)  # type: ignore[arg-type]

    def empty(self) -> Clips:
        """The same without anything to see."""
        size = self.subject.size
        shape = (len(self.asked) * self.seeds, self.subject.frames, 4, size, size)
        return self.clips(np.zeros(shape, np.uint8))

    def of_few(self, count: int) -> ClipYard:
        """The same with only the first prompts of each part."""
        asked = self.asked
        parts = dict.fromkeys(asked.parts)
        rows = [row for part in parts for row in [i for i, own in enumerate(asked.parts) if own == part][:count]]
        columns = (
            tuple(column[row] for row in rows) for column in (asked.prompts, asked.concepts, asked.parts, asked.styles)
        )
        return replace(self, asked=Asked(*columns, asked.missing))  # type: ignore[arg-type]

    def question(self, more: Mapping[str, Any]) -> str:
        """A hash of all that a drawing depends on."""
        shape = [self.subject.size, self.subject.frames]
        about = [asdict(self.asked), self.seeds, shape, more, *(["fast"] if self.fast else [])]
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()

    def measures(self) -> list[str]:
        """The names of what figures are taken by: other ones need measuring anew."""
        judge = self.instruments.judge
        return ["motion", judge.recipe.name if judge else "no judge"]


# Drawing


def _check(method: Method, recipes: Sequence[AnyRecipe]) -> None:
    if not isinstance(recipes[0], (VideoRecipe, VideoGANRecipe)):
        raise InputError(f"the recipe {method.recipe!r} makes no clips, so it cannot be compared; name another")


def _generator(own: Path, others: Sequence[Path], device: str) -> Any:
    """A run's generator; the codec that it was trained on lies in its own folder."""
    return any_video_generator(read_json(own / "recipe.json"), own, device, lambda name: info(name).folder)


def _one_step(values: Mapping[str, Any]) -> bool:
    return values.get("type") == VideoGANRecipe.__name__


def _yardstick(
    chosen: ComparisonSet, clips: ClipSet, generators: Mapping[str, Any], judge: Path | None, device: str
) -> ClipYard:
    subjects = [clip_subject(name, each, clips) for name, each in generators.items()]
    groups = tuple(dict.fromkeys(group for each in subjects for group in each.groups))
    size, frames = min(each.size for each in subjects), min(each.frames for each in subjects)
    subject = replace(subjects[0], size=size, frames=frames, groups=groups)
    asked = asked_of_clips(clips, subject, chosen.prompts)
    instruments = clip_instruments(clips, judge, device)
    left_out = [*instruments.left_out, *(f"less than was asked for: {each}" for each in asked.missing)]
    count = len(asked) * chosen.seeds
    if count < LEAST_KERNEL:
        left_out.append(f"motion: {count} clips of each method are too few, at least {LEAST_KERNEL} are needed")
    real = real_roles(clips, subject)
    return ClipYard(asked, chosen.seeds, subject, clips, real, instruments, tuple(left_out), chosen.fast)


def _draw(yard: ClipYard, name: str, generator: Any, options: Mapping[str, Any]) -> Made:
    subject = replace(yard.subject, name=name, generator=generator)
    made = drawn_clips(subject, yard.asked, yard.seeds, yard.fast, options)
    return Made(torch.from_numpy(made.clips.frames), made.seconds, made.settings)


# Measuring


def _measure(yard: ClipYard, made: Tensor) -> Values:
    return measured(yard, yard.clips(made.numpy()))


def measured(yard: ClipYard, made: Clips, own: bool = True) -> Values:
    """Agreement, likeness, motion and copies of a method's clips, or of a companion's; `own`: of the prompts asked."""
    figures: dict[str, Metric] = {}
    prompts: dict[str, Sequence[float]] = {}
    units = np.arange(len(made)) // (yard.seeds if own else 1)
    for name, found, space in _by_clip(yard, made, own):
        values = [float(found[units == unit].mean()) for unit in range(int(units[-1]) + 1)]
        parts = [made.parts[int(np.flatnonzero(units == unit)[0])] for unit in range(len(values))]
        prompts |= {name: values} if own else {}
        figures[name] = mean(values, space)
        for part in dict.fromkeys(parts):
            chosen = [value for value, each in zip(values, parts, strict=True) if each == part]
            figures[f"{name}, {part}"] = mean(chosen, space)
    moves = motion.measured(made.videos())
    with suppress(InputError):  # too few clips: the table shows a gap, and what is left out says why
        figures["motion"] = motion.motion_distance(moves, yard.reference)
    figures |= motion_figures(moves)
    figures["loop seam"] = motion.loop_seam(moves)
    foreign = [row for row, part in enumerate(made.parts) if own or part != "train"]  # no training clips themselves
    if foreign:
        figures["copies"] = clip_copies(made.take(foreign), yard.real.whole).rate
    return Values(figures, prompts)


def _by_clip(yard: ClipYard, made: Clips, own: bool) -> list[tuple[str, NDArray[np.float64], str]]:
    """Measure, one value a clip [N], and in which space."""
    judge, others = yard.instruments.judge, yard.distractors
    found = []
    if judge is not None and others is not None:
        with suppress(InputError):  # too few concepts
            hits = frame_agreement(made, judge, others, judge.space)
            found.append(("agreement", hits, "the judge, 1 of 100, mean of frames"))
    if own:
        space = f"root mean square over pixels {SIDE} x {SIDE}"
        found.append(("likeness", likeness(made, yard.real.every), space))
    return found


def _companions(yard: ClipYard) -> dict[str, Values]:
    """Real clips, worse ones, the retrieval and noise, measured as the methods are."""
    real = yard.real.others
    found = {"real": measured(yard, real, own=False)}
    worse = motion.controls(real.videos())
    for name in CONTROLS:
        clips = real.show(levels(worse[name], yard.subject.frames))
        found[name] = measured(yard, clips, own=False)
    empty = yard.empty()
    if yard.instruments.sentences is not None:
        rows = yard.real.training
        captions = [yard.data.items[row].captions[0] for row in rows]
        nearest = nearest_captions(empty.prompts, captions, yard.instruments.sentences)
        found["retrieval"] = measured(yard, empty.show(real_clips(yard.data, rows[nearest], yard.subject).frames))
    found["noise"] = measured(yard, noise_clips(empty, 0))
    return found


def _difference(yard: ClipYard, measure: str, first: Tensor, second: Tensor) -> Metric:
    """The first clips' motion distance minus that of the second; a jackknife over prompts, and over real clips."""
    if measure != "motion":
        raise InputError(f"clips have no {measure}; claim motion, likeness or agreement")
    moves = [motion.measured(yard.clips(each.numpy()).videos()) for each in (first, second)]
    (one, reference), (other, _) = (motion.motion_rows(each, yard.reference) for each in moves)
    units = np.arange(len(first)) // yard.seeds
    space = f"motion of followed points, {reference.shape[1]} features"
    return kernel_difference(one, other, reference, units, space)


def _sheet(yard: ClipYard, made: Mapping[str, Tensor]) -> Image:
    """A row of frames a method, below a row of the real clip; the first seed of the first prompts of each part."""
    asked, few = yard.asked, yard.of_few(SHEET_PROMPTS).asked
    rows: list[tuple[str, NDArray[np.uint8]]] = []
    for prompt, part in zip(few.prompts, few.parts, strict=True):
        place = next(i for i, key in enumerate(zip(asked.prompts, asked.parts, strict=True)) if key == (prompt, part))
        real = real_clips(yard.data, [row_of(yard.data, prompt, part)], yard.subject)
        rows.append((f"real: {prompt}", real.frames[0]))
        rows += [(name, each[place * yard.seeds].numpy()) for name, each in made.items()]
    return rows_of_frames(rows, min(SHEET_FRAMES, yard.subject.frames))


CLIPS = Medium(
    noun="clip",
    file="clips.safetensors",
    introduction=INTRODUCTION,
    figures={
        "agreement": "agreement: R-precision at 1 of 100, of frames (more is better)",
        "likeness": "likeness: distance to real frames (less is better)",
        "motion": "motion: kernel distance to real clips (less is better)",
        "dynamic degree": "dynamic degree",
        "unexplained by motion": "unexplained by motion",
        "copies": "copies",
    },
    curves=("motion", "likeness", "agreement"),
    columns=lambda yard: (
        f"{yard.seeds} clips each, {yard.subject.frames} frames of {yard.subject.size} pixels; "
        f"motion against {yard.real.told}"
    ),
    data_set=clip_set,
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
