"""What is asked of a model of moving pictures, and the real clips beside it: windows of as many frames as it makes.

Prompts are plain names of clips, a concept's first clip before any concept's second, in the order of hashes. Prompt
number k has the seeds 100 k, 100 k + 1 and so on, as of pictures.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from text2x.data import load_clips
from text2x.data.clip_batches import ClipBatchConfig, frame_places, select_clips
from text2x.data.clipset import ClipSet
from text2x.data.drawing import shrink
from text2x.data.imageset import SPLITS, Split, hash_unit
from text2x.data.moving_shapes import moving_shapes
from text2x.errors import InputError
from text2x.evaluating.asking import SEEDS_APART, Asked, Tell, precision
from text2x.metrics.clips import Clips, levels
from text2x.moving import Video
from text2x.requests import Result
from text2x.video_gan_generator import VideoGANGenerator
from text2x.video_generator import VideoGenerator
from text2x.video_requests import VideoRequest

MOVING_SHAPES = "moving-shapes"  # drawn, not prepared
USUAL = "animated-emoji"
PERIOD_FRAMES, PERIOD_SIDE = 18, 16  # of training clips, among which copies are looked for


@dataclass(frozen=True)
class ClipSubject:
    """A model of moving pictures that is evaluated, and the part of the data that it was made for."""

    name: str
    generator: Any  # .generate(VideoRequest) -> [Result]
    size: int  # pixels a side
    frames: int  # that a clip has
    rate: float  # frames/s
    groups: tuple[str, ...] = ()  # of the data, that it was not trained on


@dataclass(frozen=True, eq=False)
class DrawnClips:
    """What a model made, a prompt's clips one after the other, with the seconds a clip and the warnings."""

    clips: Clips
    videos: tuple[Video, ...]
    seconds: float
    warnings: tuple[str, ...]
    settings: Mapping[str, Any]


def clip_set(name: str, root: Path | None = None, size: int | None = None) -> ClipSet:
    """A prepared set of clips by its name or folder, or the drawn `moving-shapes`; others raise InputError."""
    if name == MOVING_SHAPES:
        return moving_shapes(size or 16)
    way = f"give one that does, as --data {USUAL} or --data {MOVING_SHAPES}"
    if name == "shapes":
        raise InputError(f"the data set {name!r} holds no clips; {way}")
    try:
        return load_clips(name, root)
    except InputError as reason:
        if "no set of moving pictures" not in str(reason):
            raise
        raise InputError(f"the data set {name!r} holds no clips that can be read; {way}") from None


def clip_subject(name: str, generator: Any, clips: ClipSet | None = None, wanted: int | None = None) -> ClipSubject:
    """What a generator of clips makes by default, as far as the data set has it; any other raises InputError.

    `wanted` is a side in pixels; one that the model does not make raises InputError.
    """
    if not isinstance(generator, (VideoGenerator, VideoGANGenerator)):
        raise InputError(f"{name} is no model of moving pictures that was trained here; give one, as by make-a-video")
    recipe = generator.recipe
    if isinstance(generator, VideoGenerator):
        size, frames, rate = generator.model.size, generator.recipe.sampling.frames, generator.recipe.sampling.rate
        generator.settings(VideoRequest("a", size=wanted))  # refuses a size that it does not make
    else:
        size, frames, rate = recipe.size, recipe.data.frames, generator.recipe.rate
        if wanted is not None and wanted > size:
            raise InputError(f"size is {wanted}; the model {name} makes clips of at most {size} pixels")
    size = wanted or min(size, clips.size if clips else size)
    known = set() if clips is None else {item.group for item in clips.items}
    excluded = tuple(each for each in recipe.data.exclude_groups if each in known)
    return ClipSubject(name, generator, size, frames, rate, excluded)


def asked_of_clips(clips: ClipSet, subject: ClipSubject, count: int) -> Asked:
    """Up to `count` plain names of each part, no name twice; as `asked_of` of pictures, but no style is named."""
    rows: list[tuple[str, str, str, None]] = []
    missing = []
    for part in SPLITS:
        try:
            found = select_clips(clips, part, (), subject.groups)
        except InputError as reason:
            if part != "unseen-pairs":  # a set of one style has none
                missing.append(f"{part}: {reason}")
            continue
        own = [clips.items[index] for index in found]
        own.sort(key=lambda item: hash_unit(f"asked:{item.key}"))
        names: dict[str, dict[str, None]] = {}  # of each concept
        for item in own:
            names.setdefault(item.concept, {}).setdefault(item.captions[0])
        turns = [
            (turn, hash_unit(f"asked:{concept}"), name, concept)
            for concept, each in names.items()
            for turn, name in enumerate(each)
        ]
        order: dict[str, str] = {}
        for _, _, name, concept in sorted(turns):
            order.setdefault(name, concept)
        if len(order) < count:
            missing.append(f"{part}: {count} prompts were asked for, it has {len(order)}")
        rows += [(name, concept, part, None) for name, concept in list(order.items())[:count]]
    if not rows:
        raise InputError(f"the data set {clips.name!r} has no part to evaluate on: {'; '.join(missing)}")
    return Asked(*(tuple(column) for column in zip(*rows, strict=True)), tuple(missing))  # type: ignore[arg-type]


def drawn_clips(
    subject: ClipSubject,
    asked: Asked,
    seeds: int,
    fast: bool = False,
    options: Mapping[str, Any] | None = None,
    pictures: Sequence[Any] | None = None,
    tell: Tell | None = None,
) -> DrawnClips:
    """`seeds` clips of each prompt, of which the subject's first frames are kept; `pictures` are their first frames.

    `options` are further fields of the requests; `fast` computes in bfloat16.
    """
    if not 1 <= seeds <= SEEDS_APART:
        raise InputError(f"seeds is {seeds}; take 1 to {SEEDS_APART} clips a prompt")
    results: list[Result] = []
    begin = time.perf_counter()
    with precision(subject.generator, fast):
        for place, prompt in enumerate(asked.prompts):
            given = {} if pictures is None else {"image": pictures[place]}
            request = VideoRequest(
                prompt, count=seeds, seed=SEEDS_APART * place, size=subject.size, **given, **(options or {})
            )
            results += subject.generator.generate(request)
            if tell is not None:
                tell(f"clips by {subject.name}", place + 1, len(asked))
    seconds = (time.perf_counter() - begin) / max(1, len(results))
    videos = tuple(each.media for each in results)
    warnings = tuple(dict.fromkeys(text for each in results for text in each.warnings))
    columns = (
        tuple(each for each in column for _ in range(seeds)) for column in (asked.prompts, asked.concepts, asked.parts)
    )
    clips = Clips(levels(videos, subject.frames), tuple(each.rate for each in videos), *columns)  # type: ignore[arg-type]
    used = {name: value for name, value in results[0].settings.items() if name not in ("prompt", "size", "model")}
    return DrawnClips(clips, videos, seconds, warnings, used)


# Real clips


def real_clips(
    clips: ClipSet, rows: Sequence[int] | NDArray[np.int64], subject: ClipSubject, period: bool = False
) -> Clips:
    """Windows of real clips, as many frames as the model makes at about its rate; from where is said by a hash.

    `period` spreads the frames over the whole clip instead, as a loop has them.
    """
    parts: dict[int, Split] = {int(index): part for part in SPLITS for index in clips.split(part)}
    frames, rates = [], []
    items = [clips.items[int(row)] for row in rows]
    for row, item in zip(rows, items, strict=True):
        stride = max(1, round(item.rate / subject.rate))
        config = ClipBatchConfig(frames=subject.frames, size=subject.size, strides=(stride,))
        places, rate = frame_places(item, config, 0.0, hash_unit(f"window:{item.key}"), period)
        frames.append(shrink(clips.frames(int(row), places), subject.size))
        rates.append(float(rate))
    return Clips(
        np.stack(frames), tuple(rates), tuple(item.captions[0] for item in items),
        tuple(item.concept for item in items), tuple(parts[int(row)] for row in rows),
    )  # fmt: skip


def whole_clips(clips: ClipSet, rows: Sequence[int] | NDArray[np.int64]) -> Clips:
    """Frames of 16 px spread over whole clips, among which copies and the nearest real frames are looked for."""
    side = min(PERIOD_SIDE, clips.size)
    subject = ClipSubject("real", None, side, PERIOD_FRAMES, 1.0)
    return real_clips(clips, rows, subject, period=True)


def row_of(clips: ClipSet, prompt: str, part: Split) -> int:
    """A real clip of a part that is called so."""
    return next(int(index) for index in clips.split(part) if clips.items[index].captions[0] == prompt)
