"""Colours, premultiplied: a hole filled from around it, and what was painted matched to the picture it goes into."""

from __future__ import annotations

import numpy as np

GAIN = (0.8, 1.25)  # of a channel's contrast; more is no shift of colour but another picture
SHIFT = 0.15  # of a channel's mean, in [0, 1]
LEAST_OVERLAP = 16  # opaque pixels; fewer say nothing of the colours


def fill(pixels: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Pixels [4, H, W] whose hole takes the colours around it, smoothly; where keep [H, W] is 1 nothing changes.

    Pull-push interpolation (Gortler et al. 1996, Sec. 3.4): means over ever larger blocks of what is known, from which
    the holes of the finer level are filled. Where nothing is known at all the result is transparent.
    """
    known = (keep == 1).astype(np.float32)
    return np.where(known > 0, pixels, _filled(pixels.astype(np.float32), known)).astype(np.float32)


def _filled(pixels: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The same with shares of what is known in [0, 1]; recursive, one level a halving."""
    height, width = known.shape
    if known.all():
        return pixels
    if height == width == 1 or not known.any():
        return np.where(known > 0, pixels, np.float32(-1))
    odd = ((0, height % 2), (0, width % 2))
    weights = np.pad(known, odd)
    sums = _four(np.pad(pixels * known, ((0, 0), *odd)))
    total = _four(weights)
    means = np.where(total > 0, sums / np.where(total > 0, total, 1), np.float32(-1))
    coarse = _filled(means.astype(np.float32), np.minimum(total, 1))
    fine = _twice(_twice(coarse, 1), 2)[:, :height, :width]
    return pixels * known + fine * (1 - known)


def _four(values: np.ndarray) -> np.ndarray:
    """The sum over blocks of 2 x 2."""
    rows = values[..., ::2, :] + values[..., 1::2, :]
    return rows[..., ::2] + rows[..., 1::2]


def _twice(values: np.ndarray, axis: int) -> np.ndarray:
    """Twice as long along the axis, linear between the middles of pixels."""
    values = np.moveaxis(values, axis, -1)
    ended = np.concatenate([values[..., :1], values, values[..., -1:]], axis=-1)
    before = 0.75 * values + 0.25 * ended[..., :-2]
    after = 0.75 * values + 0.25 * ended[..., 2:]
    doubled = np.stack([before, after], axis=-1).reshape(*values.shape[:-1], -1)
    return np.moveaxis(doubled, -1, axis)


def match_colours(painted: np.ndarray, known: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """The painted window [4, S, S] with each colour's mean and contrast brought to those of the known picture.

    Both are measured where keep [S, S] is 1, weighted by the alpha of each, and as if unpremultiplied: a colour c of
    alpha a becomes gain (c - mean_painted a) + mean_known a, so alpha stays and what is transparent stays so. The gain
    lies within GAIN, the shift of the mean within SHIFT; with less than LEAST_OVERLAP opaque pixels nothing changes.
    """
    where = keep == 1
    ours, theirs = (painted[:, where] + 1) / 2, (known[:, where] + 1) / 2  # [4, N]
    if min(ours[3].sum(), theirs[3].sum()) < LEAST_OVERLAP:
        return painted.astype(np.float32, copy=True)
    values = (painted + 1) / 2
    alpha = np.clip(values[3], 0, 1)
    matched = [values[3]]
    for channel in (2, 1, 0):
        mean, spread = _mean_and_spread(ours[channel], ours[3])
        aim, aimed_spread = _mean_and_spread(theirs[channel], theirs[3])
        gain = np.clip(aimed_spread / spread, *GAIN) if spread > 1e-3 else 1.0
        aim = mean + np.clip(aim - mean, -SHIFT, SHIFT)
        colour = gain * (values[channel] - mean * alpha) + aim * alpha
        matched.insert(0, np.clip(colour, 0, alpha))
    return (np.stack(matched) * 2 - 1).astype(np.float32)


def _mean_and_spread(colour: np.ndarray, alpha: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of the straight colour, weighted by alpha, of a premultiplied one."""
    total = float(alpha.sum(dtype=np.float64))
    mean = float(colour.sum(dtype=np.float64)) / total
    square = (colour - mean * alpha) ** 2 / np.maximum(alpha, 1e-6)
    return mean, float(np.sqrt(square.sum(dtype=np.float64) / total))
