"""How clips move, by optical flow without weights: how much, how smoothly, how they loop, and how like real clips.

No figure stands alone: a frozen clip has no flicker and no warp error, so each is read beside the others and beside
`controls` of real held-out clips. A frozen clip is found by its dynamic degree, a shuffled one by its warp error, a
reversed one by the arrow of time, noise by what flow leaves unexplained; the first two by the motion distance too.
Frames are premultiplied RGBA in [-1, 1]; speeds are in sides a second. Compare clips of one rate and one size.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from text2x.data.optical_flow import flow, grey_levels
from text2x.errors import InputError
from text2x.metrics.distances import kernel_distance
from text2x.metrics.intervals import mean, ratio_of_means
from text2x.metrics.metric import Metric, exact
from text2x.moving import Video

SPACE = "Farneback's optical flow"
PIXELS = "premultiplied pixels in [-1, 1]"
STILL = 0.1  # pixels a frame; where less moves, what changes is flicker
POINTS = 12  # a side, of the grid of points that are followed
FOLLOWED = 8  # frames that a point is followed for, before the grid begins anew
SPEEDS = (0.01, 0.03, 0.1, 0.3, 1.0)  # sides a second; edges of the histogram of speeds
PULLS = (0.1, 0.3, 1.0, 3.0, 10.0)  # sides a second squared; edges of that of accelerations
DIRECTIONS = 8
LEAST_SPREAD = 1e-12  # of steps, squared: below it frames differ by less than their rounding
LEAST_ERROR = 4e-6  # mean squared: 60 dB is the most that is told apart; 8 bits alone give 59


@dataclass(frozen=True, eq=False)
class ClipMotion:
    """What one clip's frames and flow say."""

    degree: float  # mean length of the flow over what is drawn, in hundredths of the side a second
    warp: float  # mean absolute difference of frames to the next ones, those taken back along the flow
    change: float  # the same without taking back
    flicker: float  # mean absolute difference of neighbouring frames where hardly anything moves
    seam: float  # of the last frame to the first
    step: float  # of a frame to the next, in the mean
    arrow: float  # skewness of how steps change: see arrow_of_time
    features: NDArray[np.float64]  # [D] how followed points move: see motion_distance


def measured(videos: Sequence[Video]) -> list[ClipMotion]:
    """Measure each clip once, for all the figures below; each needs 3 frames or more, and all one size."""
    sizes = {(video.width, video.height) for video in videos}
    if not videos or len(sizes) > 1:
        shown = ", ".join(f"{width} x {height}" for width, height in sorted(sizes)) or "no clips"
        raise InputError(f"clips of one size are compared, got {shown}; resize them")
    short = [len(video) for video in videos if len(video) < 3]
    if short:
        raise InputError(f"a clip has {short[0]} frames; its motion needs 3 or more")
    return [_measure(video) for video in videos]


def _measure(video: Video) -> ClipMotion:
    frames = np.rint((np.clip(video.frames, -1, 1) + 1) * 127.5).astype(np.uint8)
    grey = grey_levels(frames)
    moved = np.stack([flow(*pair) for pair in zip(grey, grey[1:], strict=False)])  # [T - 1, H, W, 2]
    values = frames.astype(np.float32).transpose(0, 2, 3, 1) / 127.5 - 1  # [T, H, W, 4]
    drawn = (frames[:-1, 3] > 0) | (frames[1:, 3] > 0)
    length = np.hypot(moved[..., 0], moved[..., 1])
    changes = np.abs(values[1:] - values[:-1]).mean(-1)
    taken_back = np.stack([_along(after, field) for after, field in zip(values[1:], moved, strict=True)])
    return ClipMotion(
        degree=100 * video.rate / video.width * _mean(length, drawn),
        warp=_mean(np.abs(taken_back - values[:-1]).mean(-1), drawn),
        change=_mean(changes, drawn),
        flicker=_mean(changes, drawn & (length < STILL)),
        seam=float(np.abs(values[0] - values[-1]).mean()),
        step=float(changes.mean()),
        arrow=_skewness(np.diff(changes.mean((1, 2), dtype=np.float64))),
        features=_point_features(moved / np.float32(video.width), drawn, video.rate),
    )


def _mean(values: NDArray[Any], where: NDArray[np.bool_]) -> float:
    return float(values[where].mean(dtype=np.float64)) if where.any() else 0.0


def _skewness(values: NDArray[np.float64]) -> float:
    """About zero, not about the mean, so that it turns its sign when time turns round; 0 where nothing changes."""
    spread = float((values**2).mean())
    return float((values**3).mean()) / spread**1.5 if spread > LEAST_SPREAD else 0.0


def _along(after: NDArray[np.float32], field: NDArray[np.float32]) -> NDArray[np.float32]:
    """What of the next frame [H, W, C] each pixel has become, by its flow."""
    import cv2

    height, width = field.shape[:2]
    down, across = np.indices((height, width), dtype=np.float32)
    x, y = (across + field[..., 0]).astype(np.float32), (down + field[..., 1]).astype(np.float32)
    return np.asarray(cv2.remap(after, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


# Followed points


def _point_features(fields: NDArray[np.float32], drawn: NDArray[np.bool_], rate: float) -> NDArray[np.float64]:
    """Histograms and means of velocities and accelerations of points; `fields` in sides a frame."""
    velocities, accelerations = _followed(fields, drawn, rate)
    speed, pull = np.linalg.norm(velocities, axis=-1), np.linalg.norm(accelerations, axis=-1)
    along = (accelerations * velocities[: len(accelerations)]).sum(-1) / np.maximum(speed[: len(pull)], 1e-6)
    # What turns round when time does: things that fall, grow, spin or slow down.
    divergence, curl = _swelling_and_spin(fields, drawn, rate)
    own = [
        _shares(speed, SPEEDS),
        _shares(pull, PULLS),
        _by_direction(velocities),
        _by_direction(accelerations) / 10,  # accelerations are about ten times as large
        np.array([_signed_root(value) for value in (along.mean() if along.size else 0.0, divergence, curl)]),
        np.array([np.log1p(speed.mean() if speed.size else 0.0), np.log1p(pull.mean() if pull.size else 0.0)]),
    ]
    return np.concatenate(own).astype(np.float64)


def _followed(
    fields: NDArray[np.float32], drawn: NDArray[np.bool_], rate: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Velocities [P, 2] and accelerations [Q, 2] of points that go with the flow; the first Q belong together.

    Points start on a grid where something is drawn, every FOLLOWED frames.
    """
    count, height, width = fields.shape[:3]
    grid = (np.arange(POINTS) + 0.5) / POINTS
    paired: list[NDArray[np.float64]] = []
    last: list[NDArray[np.float64]] = []
    pulls: list[NDArray[np.float64]] = []
    for begin in range(0, count, FOLLOWED):
        across, down = (each.ravel() for each in np.meshgrid(grid * width, grid * height))
        seen = drawn[begin][down.astype(int), across.astype(int)]
        places = np.stack([across, down], -1)[seen]
        before: NDArray[np.float64] | None = None
        for field in fields[begin : begin + FOLLOWED]:
            across, down = np.clip(places, 0, (width - 1, height - 1)).astype(int).T
            step = field[down, across].astype(np.float64)  # sides
            if before is not None:
                paired.append(before * rate)
                pulls.append((step - before) * rate**2)
            places, before = places + step * width, step
        if before is not None:
            last.append(before * rate)
    empty = np.zeros((0, 2))
    return np.concatenate([*paired, *last, empty]), np.concatenate([*pulls, empty])


def _shares(values: NDArray[np.float64], edges: Sequence[float]) -> NDArray[np.float64]:
    counts = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1)
    return counts / max(1, len(values))


def _by_direction(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean length of the vectors that point in each of DIRECTIONS, over all vectors; roots, to tame long ones."""
    if not len(vectors):
        return np.zeros(DIRECTIONS)
    turn = np.arctan2(vectors[:, 1], vectors[:, 0]) / (2 * np.pi)
    bins = np.floor(turn * DIRECTIONS + 0.5).astype(int) % DIRECTIONS
    lengths = np.bincount(bins, weights=np.linalg.norm(vectors, axis=-1), minlength=DIRECTIONS)
    return np.sqrt(lengths / len(vectors))


def _swelling_and_spin(fields: NDArray[np.float32], drawn: NDArray[np.bool_], rate: float) -> tuple[float, float]:
    """Mean divergence and curl of the flow over what is drawn, a second."""
    side = fields.shape[2]
    down = np.gradient(fields, axis=1) * side * rate
    across = np.gradient(fields, axis=2) * side * rate
    return _mean(across[..., 0] + down[..., 1], drawn), _mean(across[..., 1] - down[..., 0], drawn)


def _signed_root(value: float) -> float:
    return float(np.sign(value) * np.sqrt(abs(value)))


# Figures


def dynamic_degree(motions: Sequence[ClipMotion], seed: int = 0) -> Metric:
    """How much clips move: mean flow over what is drawn, in hundredths of the side a second; 0 is frozen."""
    return mean([each.degree for each in motions], f"{SPACE}, hundredths of the side a second", seed)


def warp_error(motions: Sequence[ClipMotion], seed: int = 0) -> Metric:
    """Mean absolute difference of frames to the next ones taken back along the flow, 0 to 2 (Lai et al. 2018, eq. 11).

    A clip that moves more has a larger one, and a frozen clip none: compare it at a like dynamic degree.
    """
    return mean([each.warp for each in motions], PIXELS, seed)


def unexplained(motions: Sequence[ClipMotion], seed: int = 0) -> Metric:
    """The share of what changes from frame to frame that is not motion: the warp error over the plain difference.

    Ratio of means: 0 if flow explains all changes, 1 or more if none, and 1 for frozen clips, in which there are none.
    """
    changes = np.array([each.change for each in motions])
    if not changes.mean() > 0:
        return exact(1.0, len(motions), SPACE, "nothing changes")
    return ratio_of_means(np.array([each.warp for each in motions]), changes, SPACE, seed)


def flicker(motions: Sequence[ClipMotion], seed: int = 0) -> Metric:
    """Mean absolute difference of neighbouring frames where less than 0.1 pixels move; 0 to 2, and 0 if frozen."""
    return mean([each.flicker for each in motions], PIXELS, seed)


def arrow_of_time(motions: Sequence[ClipMotion], seed: int = 0) -> Metric:
    """Whether motion sets in faster than it dies down (above 0) or the other way round; about 0 if it is the same.

    Skewness of how the step from frame to frame changes, in the mean over clips. It has no unit; a reversed clip has
    it with the other sign, exactly, and a frozen one has 0. It is to be like that of real clips, not large.
    """
    return mean([each.arrow for each in motions], "skewness of the changes of steps", seed)


def loop_seam(motions: Sequence[ClipMotion], seed: int = 0) -> Metric:
    """The step from the last frame to the first over that from a frame to the next: about 1 or less is a loop."""
    steps = np.array([each.step for each in motions])
    if not steps.mean() > 0:
        return exact(0.0, len(motions), PIXELS, "nothing changes")
    return ratio_of_means(np.array([each.seam for each in motions]), steps, PIXELS, seed)


def motion_distance(motions: Sequence[ClipMotion], reference: Sequence[ClipMotion], seed: int = 0) -> Metric:
    """How unlike the reference's the motion of clips is: a kernel distance of features of followed points.

    Points go with the flow; speeds, accelerations, their directions, and what turns round with time are counted, in
    the manner of Liu et al. 2024 (Fréchet video motion distance). Features are scaled by the reference's spread. It
    takes 50 clips on each side, and is 0 in the mean for clips that move alike. Frozen and shuffled copies are far off;
    reversed ones only where things fall, grow or gather speed, which clips that swing to and fro do not.
    """
    given, known = motion_rows(motions, reference)
    return kernel_distance(given, known, f"motion of followed points, {known.shape[1]} features", seed)


def motion_rows(
    motions: Sequence[ClipMotion], reference: Sequence[ClipMotion]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features [N, D] and [M, D] that `motion_distance` compares: in standard deviations of the reference's."""
    rows, real = (np.stack([each.features for each in some]) for some in (motions, reference))
    spread, centre = real.std(0), real.mean(0)
    scale = np.where(spread > 1e-9, spread, 1.0)
    given, known = (np.clip((each - centre) / scale, -OUTLYING, OUTLYING) for each in (rows, real))
    return given, known


OUTLYING = 5.0  # standard deviations beyond which a feature counts no more


def first_frame_psnr(videos: Sequence[Video], pictures: Sequence[NDArray[Any]], seed: int = 0) -> Metric:
    """Peak signal-to-noise ratio in dB of each clip's first frame against the picture [4, H, W] it was to begin with.

    The peak is 2, the range of values; 60 dB is the most that is told apart.
    """
    if len(videos) != len(pictures):
        raise InputError(f"{len(videos)} clips and {len(pictures)} pictures; give one picture a clip")
    ratios = []
    for video, picture in zip(videos, pictures, strict=True):
        wanted = np.asarray(getattr(picture, "pixels", picture), np.float64)
        if wanted.shape != video.frames[0].shape:
            raise InputError(f"a picture is {list(wanted.shape)}, its clip's frames {list(video.frames[0].shape)}")
        error = float(((video.frames[0] - wanted) ** 2).mean())
        ratios.append(10 * np.log10(4 / max(error, LEAST_ERROR)))
    return mean(ratios, f"dB, {PIXELS}", seed)


# Controls: clips made worse on purpose. A figure that does not tell them from the real ones tells nothing.


def controls(videos: Sequence[Video], seed: int = 0) -> Mapping[str, list[Video]]:
    """frozen (the first frame throughout), shuffled (frames in a random order) and reversed copies of clips."""
    rng = np.random.default_rng(seed)
    return {
        "frozen": [_frames(video, np.zeros(len(video), int)) for video in videos],
        "shuffled": [_frames(video, rng.permutation(len(video))) for video in videos],
        "reversed": [video.reverse() for video in videos],
    }


def _frames(video: Video, places: NDArray[Any]) -> Video:
    return dataclasses.replace(video, frames=video.frames[places])
