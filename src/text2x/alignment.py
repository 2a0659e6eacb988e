"""Which frames belong to which symbol: monotonic alignment search, and what learns or uses its durations.

Shapes: B batch, L symbols, T frames. An alignment is durations [B, L] in frames, in order and with no frame left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from text2x.errors import InputError

NEVER = -1e30  # a score that no path can win with, and that stays finite when added to


def monotonic_alignment(scores: Tensor, counts: Tensor, frames: Tensor, optional: Tensor | None = None) -> Tensor:
    """Durations [B, L] int64 of the monotonic path with the greatest sum of scores [B, L, T].

    Kim et al. 2020 (Glow-TTS), Eq. 7 and Algorithm 1, for all items at once. `counts` and `frames` [B] say how much of
    L and T is an item's own. Each symbol has a frame or more; those that are True in `optional` [B, L], such as marks
    without a pause, may have none (not two neighbours at once). Fewer frames than symbols that need one, or scores that
    are not finite, raise InputError.
    """
    values = scores.detach().float().cpu().numpy()
    batch, symbols, length = values.shape
    ends, stops = counts.cpu().numpy(), frames.cpu().numpy()
    skips = np.zeros((batch, symbols), bool) if optional is None else optional.cpu().numpy().astype(bool)
    _check(values, ends, stops, skips)
    # came[b, t, l]: by how many symbols the best path to (l, t) moved on from t - 1
    best, came = _search(values, ends, stops, skips)
    rows = np.arange(batch)
    last = ends - 1
    before = np.maximum(last - 1, 0)
    skips_last = skips[rows, last] & (last > 0) & (best[rows, before] > best[rows, last])
    place = np.where(skips_last, before, last)
    durations = np.zeros((batch, symbols), np.int64)
    for t in range(length - 1, -1, -1):
        inside = t < stops
        durations[rows[inside], place[inside]] += 1
        place = np.where(inside, place - came[rows, t, place], place)
    return torch.from_numpy(durations).to(scores.device)


def _search(
    values: NDArray[np.float32], ends: NDArray[np.int64], stops: NDArray[np.int64], skips: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Best sums [B, L] at each item's last frame, and the steps [B, T, L] that led there."""
    batch, symbols, length = values.shape
    outside = np.arange(symbols)[None] >= ends[:, None]
    over = np.zeros((batch, symbols), bool)  # may be reached from two symbols before, over one that is optional
    over[:, 2:] = skips[:, 1:-1]
    came = np.zeros((batch, length, symbols), np.int8)
    best = np.full((batch, symbols), NEVER)
    best[:, 0] = values[:, 0, 0]
    if symbols > 1:
        best[:, 1] = np.where(skips[:, 0], values[:, 1, 0], NEVER)
    best[outside] = NEVER
    for t in range(1, length):
        moved = np.full((3, batch, symbols), NEVER)
        moved[0] = best
        moved[1, :, 1:] = best[:, :-1]
        moved[2, :, 2:] = np.where(over[:, 2:], best[:, :-2], NEVER)
        step = moved.argmax(0)
        new = np.maximum(np.take_along_axis(moved, step[None], 0)[0] + values[:, :, t], NEVER)
        new[outside] = NEVER
        inside = (t < stops)[:, None]
        best = np.where(inside, new, best)
        came[:, t] = step
    return best, came


def _check(
    values: NDArray[np.float32], ends: NDArray[np.int64], stops: NDArray[np.int64], skips: NDArray[np.bool_]
) -> None:
    batch, symbols, length = values.shape
    for item in range(batch):
        count, stop = int(ends[item]), int(stops[item])
        if not 1 <= count <= symbols or not 1 <= stop <= length:
            raise InputError(f"item {item} has {count} symbols and {stop} frames; at most {symbols} and {length} fit")
        needed = needed_frames(skips[item, :count])
        if stop < needed:
            raise InputError(f"{stop} frames cannot be aligned with {count} symbols; at least {needed} are needed")
        if not np.isfinite(values[item, :count, :stop]).all():
            raise InputError(f"the scores of item {item} are not finite; lower the learning rate")


def needed_frames(optional: Sequence[bool] | NDArray[np.bool_]) -> int:
    """The fewest frames that symbols can be aligned with: one each, but of neighbours only one can be left out."""
    needed, left_out = 0, False
    for each in optional:
        left_out = bool(each) and not left_out
        needed += not left_out
    return max(1, needed)


def path(durations: Tensor, frames: int | None = None) -> Tensor:
    """[B, L] -> [B, L, T] of 0 and 1: which symbol each frame belongs to; T is the longest item's unless given."""
    ends = durations.cumsum(1)
    length = int(ends[:, -1].max()) if frames is None else frames
    at = torch.arange(length, device=durations.device)
    return ((at < ends[..., None]) & (at >= (ends - durations)[..., None])).to(torch.float32)


def symbol_means(values: Tensor, durations: Tensor) -> Tensor:
    """Means [B, L] of frames' values [B, T] over each symbol, zeros (no voice) not counted; 0 where nothing counts.

    What a symbol's pitch is (Lancucki 2021, FastPitch, Sec. 2.2).
    """
    belongs = path(durations, values.shape[1])
    counts = torch.matmul(belongs, (values > 0).float()[..., None])[..., 0]
    sums = torch.matmul(belongs, values[..., None].float())[..., 0]
    return sums / counts.clamp_min(1)


def rounded(ends: Sequence[float], frame: float, total: int | None = None) -> list[int]:
    """Durations in frames of segments that end at the given seconds; the errors do not add up.

    `frame` is in seconds. With `total` the last segment takes what is left of so many frames.
    """
    places = [0]
    for end in ends:
        places.append(max(places[-1], math.floor(end / frame + 0.5)))
    if total is not None:
        places = [min(place, total) for place in places]
        places[-1] = total
    return [after - before for before, after in zip(places, places[1:], strict=False)]


# Learning an alignment


def forward_sum_loss(scores: Tensor, counts: Tensor, frames: Tensor, blank: float = -1.0) -> Tensor:
    """Minus the log of the summed probability of all monotonic alignments, over symbols: a mean of the batch.

    Shih et al. 2021 (RAD-TTS), Eq. 3, as connectionist temporal classification with a `blank` of that log score.
    Scores are [B, L, T], logarithms up to a constant a frame.
    """
    batch, symbols, _ = scores.shape
    outside = torch.arange(symbols, device=scores.device)[None] >= counts[:, None]
    masked = scores.masked_fill(outside[..., None], NEVER)
    logs = F.pad(masked, (0, 0, 1, 0), value=blank).log_softmax(1)  # [B, 1 + L, T]
    targets = torch.arange(1, symbols + 1, device=scores.device).expand(batch, -1)
    losses = F.ctc_loss(logs.permute(2, 0, 1), targets, frames, counts, blank=0, reduction="none", zero_infinity=True)
    return (losses / counts).mean()


@lru_cache(maxsize=4096)
def diagonal_prior(symbols: int, frames: int, width: float = 1.0) -> Tensor:
    """[L, T] log-probabilities of symbols at each frame: beta-binomial, near the diagonal (RAD-TTS, Eq. 5).

    A smaller `width` is a wider band.
    """
    trials = symbols - 1
    k = torch.arange(symbols, dtype=torch.float64)[:, None]
    t = torch.arange(1, frames + 1, dtype=torch.float64)[None]
    a, b = width * t, width * (frames + 1 - t)
    choose = torch.lgamma(torch.tensor(trials + 1.0)) - torch.lgamma(k + 1) - torch.lgamma(trials - k + 1)
    logs = choose + _log_beta(k + a, trials - k + b) - _log_beta(a, b)
    return logs.float()


def _log_beta(a: Tensor, b: Tensor) -> Tensor:
    return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
