"""All figures of a model of moving pictures beside real clips, controls and noise: `evaluate_clips` draws and measures.

Words and copies are measured part by part. Motion is measured as a whole too, against clips that no source holds:
held-out ones where there are enough, else a half of the training clips. Frozen, shuffled and reversed copies of other
real clips stand beside the model: a figure that does not tell them from real ones says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from text2x.data.clip_batches import select_clips
from text2x.data.clipset import ClipSet
from text2x.data.imageset import SPLITS, Split
from text2x.errors import InputError
from text2x.evaluating.asking import Asked, Tell
from text2x.evaluating.clip_asking import (
    ClipSubject,
    DrawnClips,
    asked_of_clips,
    drawn_clips,
    real_clips,
    row_of,
    whole_clips,
)
from text2x.evaluating.instruments import Instruments
from text2x.media import Image
from text2x.metrics import motion
from text2x.metrics.agreement import DISTRACTORS, Distractors, chance
from text2x.metrics.clips import SIDE, Clips, as_pictures, clip_copies, first_frame_figures, likeness, word_figures
from text2x.metrics.clips import noise as noise_clips
from text2x.metrics.companions import nearest_captions
from text2x.metrics.copies import Copies
from text2x.metrics.distances import LEAST_KERNEL, kernel_distance
from text2x.metrics.intervals import mean
from text2x.metrics.metric import Metric, to_json
from text2x.metrics.motion import ClipMotion

MOST = 100  # real clips in the reference, and beside it
CONTROLS = ("frozen", "shuffled", "reversed")
DISTANCE = "motion distance"
Figures = dict[str, Metric]


@dataclass(frozen=True)
class ClipPlan:
    """How much is asked: prompts of each part, clips of each, and prompts of each part for first frames and loops."""

    prompts: int = 25
    seeds: int = 2
    given: int = 6
    size: int | None = None  # pixels; None: the model's own
    fast: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)  # further fields of the requests


@dataclass(frozen=True, eq=False)
class RealClips:
    """Real clips in the roles that they have; rows are places in the data set."""

    reference: Clips
    others: Clips  # of the training part, none in the reference
    held_out: Clips | None
    training: NDArray[np.int64]  # rows
    every: Clips  # the whole data set, each clip's whole length, small
    whole: Clips  # the training clips of it
    told: str  # what the reference is


@dataclass(frozen=True, eq=False)
class ClipReport:
    """Figures by group, source and name; groups are parts of the data, "motion", "first frame" and "loops"."""

    about: Mapping[str, Any]
    parts: Mapping[str, Mapping[str, Figures]]
    motion: Mapping[str, Figures]
    first_frame: Mapping[str, Figures]
    loops: Mapping[str, Figures]
    controls: Mapping[str, bool]  # by name: whether it is told from real clips
    left_out: tuple[str, ...]
    clips: Clips
    real: Clips  # of the same prompts
    copies: Copies
    whole: Clips  # that copies were looked for among

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`; frames are not among them."""
        groups = ("parts", "motion", "first_frame", "loops")
        figures = {name: to_json(getattr(self, name)) for name in groups}
        return {**self.about, **figures, "controls_told": dict(self.controls), "left_out": list(self.left_out)}


def evaluate_clips(
    subject: ClipSubject,
    clips: ClipSet,
    instruments: Instruments,
    plan: ClipPlan | None = None,
    tell: Tell | None = None,
) -> ClipReport:
    """Make what is asked of every model, and measure it; raises InputError if nothing can be asked."""
    plan = plan or ClipPlan()
    subject = replace(subject, size=clip_size(subject, clips, plan))
    real = real_roles(clips, subject)
    asked = asked_of_clips(clips, subject, plan.prompts)
    made = drawn_clips(subject, asked, plan.seeds, plan.fast, plan.options, tell=tell)
    left_out = [*instruments.left_out, *(f"less than was asked for: {each}" for each in asked.missing), *made.warnings]
    parts, copied = _parts(made, real, clips, subject, instruments, left_out)
    moves = _motion(made.clips, real, instruments, left_out, tell)
    few = _few(asked, plan.given)
    first = _first_frames(subject, few, clips, plan, left_out, tell)
    loops = _loops(subject, few, clips, plan, made.clips, left_out, tell)
    same = real_clips(clips, [row_of(clips, *key) for key in zip(asked.prompts, asked.parts, strict=True)], subject)
    about = {
        "model": subject.name,
        "data": clips.name,
        "prompts": {part: sum(each == part for each in asked.parts) for part in dict.fromkeys(asked.parts)},
        "seeds": plan.seeds,
        "size": subject.size,
        "frames": subject.frames,
        "rate": subject.rate,
        "precision": "bfloat16" if plan.fast else "float32",
        "settings": {name: value for name, value in made.settings.items() if value != ""},
        "seconds_a_clip": round(made.seconds, 4),
        "reference": real.told,
        "loops": float(np.mean([item.loops for item in clips.items])),
    }
    told = controls_told(moves)
    every = tuple(dict.fromkeys(left_out))
    return ClipReport(about, parts, moves, first, loops, told, every, made.clips, same, copied, real.whole)


def clip_size(subject: ClipSubject, clips: ClipSet, plan: ClipPlan) -> int:
    """Side of the clips that are compared; more than the data set's own raises InputError."""
    size = plan.size or min(subject.size, clips.size)
    if size > clips.size:
        raise InputError(
            f"size is {size}; the clips of {clips.name!r} have {clips.size} pixels a side: take at most that"
        )
    return size


def real_roles(clips: ClipSet, subject: ClipSubject) -> RealClips:
    """Which real clips are the reference, and which stand beside the model; no training clips raise InputError."""
    rows: dict[Split, NDArray[np.int64]] = {}
    for part in SPLITS:
        try:
            rows[part] = select_clips(clips, part, (), subject.groups)
        except InputError:
            continue
    if "train" not in rows:
        raise InputError(f"the data set {clips.name!r} has no training clips to compare with; give another --data")
    train = np.random.default_rng([0, len(clips)]).permutation(rows["train"])
    held = [int(row) for part, own in rows.items() if part != "train" for row in own]
    if len(held) >= LEAST_KERNEL:
        reference, others, told = held[:MOST], train[:MOST], f"{len(held[:MOST])} held-out clips"
    else:
        half = min(MOST, len(train) // 2)
        reference, others = list(train[:half]), train[half : 2 * half]
        told = f"{half} training clips, since only {len(held)} are held out"
    if len(others) == 0:
        raise InputError(f"the data set {clips.name!r} has {len(train)} training clips; at least 2 are needed")
    every = whole_clips(clips, np.arange(len(clips)))
    return RealClips(
        real_clips(clips, reference, subject),
        real_clips(clips, others, subject),
        real_clips(clips, held[:MOST], subject) if held else None,
        rows["train"],
        every,
        every.take(rows["train"]),
        told,
    )


# Words, part by part


def _parts(
    made: DrawnClips,
    real: RealClips,
    clips: ClipSet,
    subject: ClipSubject,
    instruments: Instruments,
    left_out: list[str],
) -> tuple[dict[str, dict[str, Figures]], Copies]:
    """Agreement with the words, likeness and copies of each source."""
    others = clip_distractors(clips, instruments)
    found: dict[str, dict[str, Figures]] = {}
    for part in dict.fromkeys(made.clips.parts):
        generated = made.clips.of(part)
        sources = {"generated": generated}
        beside = real.others if part == "train" else real.held_out
        sources |= {} if beside is None else {"real": beside}
        if instruments.sentences is not None:
            captions = [clips.items[row].captions[0] for row in real.training]
            nearest = nearest_captions(generated.prompts, captions, instruments.sentences)
            sources["retrieval"] = generated.show(real_clips(clips, real.training[nearest], subject).frames)
        sources["noise"] = noise_clips(generated, 0)
        figures: dict[str, Figures] = {source: {} for source in (*sources, "chance")}
        for source, own in sources.items():
            measures: list[Callable[[], Figures]] = []
            if instruments.judge is not None and others is not None:
                measures.append(partial(word_figures, own, instruments.judge, others, instruments.judge.space))
            if source != "real":
                measures.append(partial(_likeness, own, real.every))
            if source != "real" or part != "train":  # those are training clips
                measures.append(partial(_copy_rate, own, real.whole))
            _take(measures, figures[source], f"{part}, {source}", left_out)
        if "R-precision of frames" in figures["generated"]:
            assert instruments.judge is not None
            guess = chance(DISTRACTORS + 1, instruments.judge.space)
            figures["chance"] = {name: guess for name in ("R-precision of frames", "R-precision of clips")}
        found[part] = figures
    return found, clip_copies(made.clips, real.whole)


def clip_distractors(clips: ClipSet, instruments: Instruments) -> Distractors | None:
    """One caption of each real concept; None without a judge."""
    if instruments.judge is None:
        return None
    captions: dict[str, str] = {}
    for item in clips.items:
        captions.setdefault(item.concept, item.captions[0])
    return Distractors(instruments.judge.text_embeddings(list(captions.values())), list(captions))


def _likeness(own: Clips, every: Clips) -> Figures:
    space = f"root mean square over pixels {SIDE} x {SIDE}"
    return {"distance to real frames of the concept": mean(likeness(own, every), space)}


def _copy_rate(own: Clips, training: Clips) -> Figures:
    return {"copies": clip_copies(own, training).rate}


def _take(measures: list[Callable[[], Figures]], figures: Figures, where: str, left_out: list[str]) -> None:
    for measure in measures:
        try:
            figures |= measure()
        except InputError as reason:
            left_out.append(f"{where}: {reason}")


# Motion, as a whole


def _motion(
    made: Clips, real: RealClips, instruments: Instruments, left_out: list[str], tell: Tell | None
) -> dict[str, Figures]:
    """How each source moves, and how far it is from the reference."""
    known = motion.measured(real.reference.videos())
    parts = list(dict.fromkeys(made.parts))
    of_part: dict[str, Split] = {f"generated, {part}": part for part in parts if len(parts) > 1}
    worse = motion.controls(real.others.videos())
    filmed = {"generated": made.videos(), "real": real.others.videos(), **worse}
    filmed["noise"] = noise_clips(made, 0).videos()
    figures: dict[str, Figures] = {}
    moves: dict[str, list[ClipMotion]] = {}
    for source, videos in filmed.items():
        if tell is not None:
            tell("sources of motion", len(moves), len(filmed))
        moves[source] = motion.measured(videos)
    for source, part in of_part.items():
        moves[source] = [own for own, each in zip(moves["generated"], made.parts, strict=True) if each == part]
    pictures = {"generated": made, **{source: made.of(part) for source, part in of_part.items()}}
    pictures |= {"real": real.others, "noise": noise_clips(made, 0)}
    for source, own in moves.items():
        measures: list[Callable[[], Figures]] = [partial(_distance, own, known)]
        if source in pictures:
            measures.append(partial(_frames_distance, pictures[source], real.reference, instruments))
        figures[source] = {}
        _take(measures, figures[source], f"motion, {source}", left_out)
        figures[source] |= motion_figures(own)
    found = {**figures, "reference": motion_figures(known)}
    order = ["generated", *of_part, "real", "reference", *CONTROLS, "noise"]
    return {source: found[source] for source in order}


def _distance(own: list[ClipMotion], known: list[ClipMotion]) -> Figures:
    return {DISTANCE: motion.motion_distance(own, known)}


def _frames_distance(own: Clips, reference: Clips, instruments: Instruments) -> Figures:
    """Kernel distance of one frame a clip, the middle one, to those of the reference."""
    space = instruments.spaces[0]
    features = [space(as_pictures(each.frames[:, [each.frames.shape[1] // 2]])) for each in (own, reference)]
    return {"kernel distance of frames": kernel_distance(features[0], features[1], space.name)}


def motion_figures(moves: list[ClipMotion]) -> Figures:
    """What is read beside the motion distance: how much moves, and how."""
    return {
        "dynamic degree": motion.dynamic_degree(moves),
        "warp error": motion.warp_error(moves),
        "unexplained by motion": motion.unexplained(moves),
        "flicker": motion.flicker(moves),
        "arrow of time": motion.arrow_of_time(moves),
    }


def controls_told(figures: Mapping[str, Figures]) -> dict[str, bool]:
    """Of each control whether the motion distance tells it from real clips: the intervals lie apart."""
    real = figures["real"].get(DISTANCE)
    if real is None:
        return {}
    found = {name: figures[name].get(DISTANCE) for name in CONTROLS}
    return {name: each.low > real.high for name, each in found.items() if each is not None}


# What is given: first frames, and loops


def _few(asked: Asked, count: int) -> Asked:
    """The first prompts of each part."""
    parts = dict.fromkeys(asked.parts)
    rows = [row for part in parts for row in [i for i, own in enumerate(asked.parts) if own == part][:count]]
    columns = (
        tuple(column[row] for row in rows) for column in (asked.prompts, asked.concepts, asked.parts, asked.styles)
    )
    return Asked(*columns)  # type: ignore[arg-type]


def _first_frames(
    subject: ClipSubject, few: Asked, clips: ClipSet, plan: ClipPlan, left_out: list[str], tell: Tell | None
) -> dict[str, Figures]:
    """Clips that begin with a real first frame, beside the real clips that go on from it."""
    if len(few) == 0:
        return {}
    rows = [row_of(clips, *key) for key in zip(few.prompts, few.parts, strict=True)]
    real = real_clips(clips, rows, subject).videos()
    pictures = [Image(video.frames[0]) for video in real]
    own = replace(subject, name=f"{subject.name} from first frames")
    try:
        made = drawn_clips(own, few, 1, plan.fast, plan.options, pictures, tell)
    except InputError as reason:
        left_out.append(f"first frames: {reason}")
        return {}
    pixels = [each.pixels for each in pictures]
    still = motion.controls(real)["frozen"]
    sources = {"generated": list(made.videos), "real": real, "frozen": still}
    figures: dict[str, Figures] = {source: {} for source in sources}
    for source, videos in sources.items():
        _take([partial(first_frame_figures, videos, pixels)], figures[source], f"first frame, {source}", left_out)
    return figures


def _loops(
    subject: ClipSubject,
    few: Asked,
    clips: ClipSet,
    plan: ClipPlan,
    plain: Clips,
    left_out: list[str],
    tell: Tell | None,
) -> dict[str, Figures]:
    """The seam of clips that were asked to loop, beside those that were not and real ones."""
    if len(few) == 0:
        return {}
    own = replace(subject, name=f"{subject.name} that loop")
    try:
        made = drawn_clips(own, few, 1, plan.fast, {**plan.options, "loop": True}, tell=tell)
    except InputError as reason:
        left_out.append(f"loops: {reason}")
        return {}
    rows = [row_of(clips, *key) for key in zip(few.prompts, few.parts, strict=True)]
    whole = [row for row in rows if clips.items[row].loops]
    sources = {
        "asked to loop": made.clips,
        "not asked to": plain,
        "real, a part of a clip": real_clips(clips, rows, subject),
    }
    sources |= {"real, a whole loop": real_clips(clips, whole, subject, period=True)} if whole else {}
    return {source: {"loop seam": motion.loop_seam(motion.measured(own.videos()))} for source, own in sources.items()}
