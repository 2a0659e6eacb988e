"""Clips with what they show, and figures of their frames: words, likeness, copies, and a first frame that was given.

Frames are uint8 [N, T, 4, S, S], premultiplied RGBA, of one size and length. How clips move is measured in `motion`.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from text2x.data.drawing import shrink
from text2x.data.imageset import Split
from text2x.errors import InputError
from text2x.metrics.agreement import Distractors, Judge, found_prompts
from text2x.metrics.copies import RATIO, Copies
from text2x.metrics.intervals import mean, rate, ratio_of_means
from text2x.metrics.metric import Metric, same_length
from text2x.metrics.motion import PIXELS, first_frame_psnr
from text2x.metrics.neighbours import squared_distances
from text2x.moving import Video

TEXTS = ("prompts", "concepts", "parts")
JUDGED = 8  # frames of a clip that a judge is shown, evenly spread
EQUAL = 1e-6  # what is nearer differs by rounding
SIDE = 16  # pixels at which frames are compared with real ones


@dataclass(frozen=True, eq=False)
class Clips:
    """Clips of one size and length, with their rates in frames/s, and of each what it shows."""

    frames: NDArray[np.uint8]  # [N, T, 4, S, S]
    rates: tuple[float, ...]
    prompts: tuple[str, ...]  # asked for, or the caption
    concepts: tuple[str, ...]
    parts: tuple[Split, ...]

    def __post_init__(self) -> None:
        if self.frames.dtype != np.uint8 or self.frames.ndim != 5 or self.frames.shape[2] != 4:
            raise InputError(f"clips must be uint8 [N, T, 4, S, S], got {self.frames.dtype} {list(self.frames.shape)}")
        same_length({"clips": self.frames, "rates": self.rates, **{name: getattr(self, name) for name in TEXTS}})

    def __len__(self) -> int:
        return len(self.prompts)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Clips:
        """Some of the clips, in that order."""
        places = [int(row) for row in rows]
        texts = {name: tuple(getattr(self, name)[place] for place in places) for name in TEXTS}
        return Clips(self.frames[places], tuple(self.rates[place] for place in places), **texts)

    def of(self, part: Split) -> Clips:
        """The clips of one part."""
        return self.take([row for row, own in enumerate(self.parts) if own == part])

    def show(self, frames: NDArray[np.uint8], rates: tuple[float, ...] | None = None) -> Clips:
        """Other frames for the same prompts."""
        return Clips(frames, rates or self.rates, self.prompts, self.concepts, self.parts)

    def videos(self) -> list[Video]:
        """Each as a video."""
        return [Video(each / np.float32(127.5) - 1, rate) for each, rate in zip(self.frames, self.rates, strict=True)]

    def spread(self, count: int) -> NDArray[np.uint8]:
        """[N, F, 4, S, S] so many evenly spread frames of each, the first and the last among them, or all."""
        length = self.frames.shape[1]
        places = np.linspace(0, length - 1, min(count, length)).round().astype(int)
        return self.frames[:, places]


def levels(videos: Sequence[Video], length: int) -> NDArray[np.uint8]:
    """[N, length, 4, S, S] the first frames of videos in steps of 1/255; a shorter one raises InputError."""
    short = [len(video) for video in videos if len(video) < length]
    if short:
        raise InputError(f"a clip has {short[0]} frames; {length} are compared: take a model that makes as many")
    frames = np.stack([video.frames[:length] for video in videos])
    return np.rint((np.clip(frames, -1, 1) + 1) * 127.5).astype(np.uint8)


def joined(sets: Sequence[Clips]) -> Clips:
    """Clips of several sets in one; at least one set is needed."""
    columns = (sum((getattr(each, name) for each in sets), ()) for name in ("rates", *TEXTS))
    return Clips(np.concatenate([each.frames for each in sets]), *columns)


def noise(asked: Clips, seed: int) -> Clips:
    """Uniform noise, colours at most alpha as in any premultiplied picture."""
    values = np.random.default_rng(seed).integers(0, 256, asked.frames.shape, dtype=np.uint8)
    values[:, :, :3] = np.minimum(values[:, :, :3], values[:, :, 3:])
    return asked.show(values)


def as_pictures(frames: NDArray[np.uint8]) -> Tensor:
    """[N, F, 4, S, S] to pictures [N F, 4, S, S] in [-1, 1]."""
    flat = np.ascontiguousarray(frames.reshape(-1, *frames.shape[2:]))
    return torch.from_numpy(flat).float().div_(127.5).sub_(1)


# Words


def frame_agreement(clips: Clips, judge: Judge, others: Distractors, space: str) -> NDArray[np.float64]:
    """[N] share of a clip's frames in which the judge finds its prompt among 100; chance is 0.01."""
    if len(clips) == 0:
        return np.zeros(0)
    frames = clips.spread(JUDGED)
    count = frames.shape[1]
    pictures = judge.image_embeddings(as_pictures(frames))
    texts = judge.text_embeddings(clips.prompts).repeat_interleave(count, 0)
    concepts = [concept for concept in clips.concepts for _ in range(count)]
    return found_prompts(pictures, texts, concepts, space, others).reshape(-1, count).mean(1)


def word_figures(clips: Clips, judge: Judge, others: Distractors, space: str) -> dict[str, Metric]:
    """R-precision of frames, in the mean over them, and of clips by the mean of their frames' embeddings.

    Intervals are over concepts: frames of a clip and clips of a concept are no independent witnesses.
    """
    hits = frame_agreement(clips, judge, others, space)
    of_frames = rate(hits, f"{space}, 1 of 100, {min(JUDGED, clips.frames.shape[1])} frames a clip", clips.concepts)
    frames = clips.spread(JUDGED)
    embedded = judge.image_embeddings(as_pictures(frames)).unflatten(0, (-1, frames.shape[1])).mean(1)
    texts = judge.text_embeddings(clips.prompts)
    whole = found_prompts(embedded, texts, clips.concepts, space, others)
    return {
        "R-precision of frames": of_frames,
        "R-precision of clips": rate(whole, f"{space}, 1 of 100, mean of frames", clips.concepts),
    }


# Real frames


def _small(frames: NDArray[np.uint8], side: int) -> NDArray[np.float64]:
    """[N, F, 4, S, S] to features [N F, D] whose Euclidean distance is the root mean square of pixels in [-1, 1]."""
    flat = frames.reshape(-1, *frames.shape[2:])
    values = shrink(flat, side).reshape(len(flat), -1) / 127.5
    return values / np.sqrt(values.shape[1])


def distances_to(clips: Clips, real: Clips) -> NDArray[np.float64]:
    """[N, M] how far a clip's frames are from a real clip's: to the nearest frame each, in the mean over the clip.

    So a clip that begins elsewhere in the same movement is as near. Root mean square over pixels of 16 x 16, or fewer
    where either has fewer.
    """
    side = min(SIDE, clips.frames.shape[-1], real.frames.shape[-1])
    rows, known = _small(clips.spread(JUDGED), side), _small(real.frames, side)
    count, length = len(rows) // max(1, len(clips)), real.frames.shape[1]
    found = np.empty((len(rows), len(real)))
    for part, squares in squared_distances(rows, known):
        found[part] = np.sqrt(squares.reshape(len(squares), len(real), length).min(2))
    found[found < EQUAL] = 0
    return found.reshape(len(clips), count, len(real)).mean(1)


def likeness(clips: Clips, real: Clips) -> NDArray[np.float64]:
    """[N] distance to the nearest real clip of the same concept; a concept without any raises InputError."""
    found = np.empty(len(clips))
    for concept in dict.fromkeys(clips.concepts):
        own = [row for row, each in enumerate(clips.concepts) if each == concept]
        same = [row for row, each in enumerate(real.concepts) if each == concept]
        if not same:
            raise InputError(f"no real clip shows {concept!r}; ask for concepts of the data set")
        found[own] = distances_to(clips.take(own), real.take(same)).min(1)
    return found


def clip_copies(clips: Clips, training: Clips, groups: Sequence[Hashable] | None = None) -> Copies:
    """Clips whose nearest training clip is less than a third as far as the nearest of another group (a concept)."""
    named = training.concepts if groups is None else tuple(groups)
    numbers = {each: number for number, each in enumerate(dict.fromkeys(named))}
    labels = np.array([numbers[each] for each in named])
    if len(numbers) < 2:
        raise InputError(f"all {len(labels)} training clips are of one concept; copies need 2 or more")
    distances = distances_to(clips, training)
    nearest = distances.argmin(1)
    first = distances[np.arange(len(clips)), nearest]
    second = np.where(labels[None] != labels[nearest][:, None], distances, np.inf).min(1)
    ratios = np.divide(first, second, out=np.zeros(len(clips)), where=second > 0)
    space = f"frames of {SIDE} x {SIDE} pixels, d1/d2 < {RATIO:.2g}, second of another concept"
    return Copies(rate(ratios < RATIO, space, clips.concepts), ratios, first, nearest.astype(np.int64))


# A first frame that was given


def first_frame_figures(videos: Sequence[Video], pictures: Sequence[NDArray[Any]]) -> dict[str, Metric]:
    """Of clips that were to begin with pictures [4, S, S]: is the first frame they, and do the others stay near.

    "first step over later ones" is 1 where the second frame follows the given one as any frame does its own: a model
    that leaves the picture at once has a large one, one that hardly moves away a small one.
    """
    same = [np.array_equal(video.frames[0], each) for video, each in zip(videos, pictures, strict=True)]
    steps = [np.abs(np.diff(video.frames, axis=0)).mean((1, 2, 3)) for video in videos]
    drifts = [
        np.sqrt(((video.frames[1:] - picture) ** 2).mean((1, 2, 3)))
        for video, picture in zip(videos, pictures, strict=True)
    ]
    space = f"root mean square, {PIXELS}"
    figures = {
        "first frame kept bit for bit": rate(same, PIXELS),
        "first frame": first_frame_psnr(videos, pictures),
        "drift from the first frame, second frame": mean([float(each[0]) for each in drifts], space),
        "drift from the first frame, mean": mean([float(each.mean()) for each in drifts], space),
        "drift from the first frame, last frame": mean([float(each[-1]) for each in drifts], space),
    }
    later = np.array([float(each[1:].mean()) for each in steps])
    if later.mean() > 0:
        own = np.array([float(each[0]) for each in steps])
        figures["first step over later ones"] = ratio_of_means(own, later, PIXELS)
    return figures
