"""What every sampler shares: the levels of a time grid, one estimate, and the first-order step between two levels.

t falls from 1 (noise) to 0 (data); x_t = alpha x_0 + sigma noise. Every step is written with alpha and sigma, not with
their quotient, so that it is finite at pure noise (alpha = 0).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from text2x.diffusion.denoiser import Denoise
from text2x.diffusion.schedules import SMALLEST, NoiseSchedule
from text2x.errors import InputError

NoiseLike = Callable[[Tensor], Tensor]  # x [B, C, *] -> fresh standard normal noise of its shape


@dataclass(frozen=True)
class Step:
    """What `on_step` sees, once a step."""

    index: int  # 0 for the first step
    t: float
    x_t: Tensor  # [B, C, *]
    x_0: Tensor  # [B, C, *] the estimate made from x_t


OnStep = Callable[[Step], None]


class Level(NamedTuple):
    """One time of the grid in float64."""

    t: float
    alpha: float
    sigma: float

    @property
    def log_ratio(self) -> float:
        """log(alpha / sigma), half the log-SNR; the lambda of Lu et al. 2022."""
        return math.log(max(self.alpha, SMALLEST)) - math.log(max(self.sigma, SMALLEST))


def read_levels(ts: Tensor, schedule: NoiseSchedule) -> list[Level]:
    """alpha and sigma of each time; t = 0 counts as clean data, also on a schedule that stops just above."""
    times = ts.detach().double().cpu()
    values = times.tolist()
    falls = times.ndim == 1 and len(values) >= 2 and all(first > second for first, second in pairwise(values))
    if not falls or values[0] > 1 or values[-1] < 0:
        raise ValueError(f"times must be at least two, within [0, 1] and strictly falling, got {values}")
    alphas, sigmas = schedule(times)
    return [
        Level(t, alpha, sigma) if t > 0 else Level(0.0, 1.0, 0.0)
        for t, alpha, sigma in zip(values, alphas.tolist(), sigmas.tolist(), strict=True)
    ]


def estimate(denoise: Denoise, x: Tensor, level: Level, index: int = 0, on_step: OnStep | None = None) -> Tensor:
    """x_0 from x at one level, the same time for each item; `on_step` is told."""
    dtype = x.dtype if x.dtype in (torch.float32, torch.float64) else torch.float32
    x_0 = denoise(x, torch.full((x.shape[0],), level.t, dtype=dtype, device=x.device))
    if on_step is not None:
        on_step(Step(index, level.t, x, x_0))
    return x_0


def line(x: Tensor, x_0: Tensor, here: Level, there: Level) -> Tensor:
    """x at `there` with x_0 and the noise in x held fixed (Song et al. 2021, Eq. 12 with eta = 0)."""
    if there.sigma == 0:
        return x_0
    keep = there.sigma / here.sigma
    return torch.add(x * keep, x_0, alpha=there.alpha - here.alpha * keep)


def shrink(here: Level, there: Level) -> float:
    """The quotient of sigma / alpha after and before the step, in [0, 1]; exp(-h) of Lu et al. 2022."""
    return min(1.0, here.alpha * there.sigma / (there.alpha * here.sigma))


def drawing(noise_like: NoiseLike | None, sampler: str, eta: float = 1.0) -> NoiseLike | None:
    """The source of fresh noise, None where eta asks for none."""
    if not 0 <= eta <= 1:
        raise InputError(f"eta is {eta}, but it must lie between 0 (no fresh noise) and 1 (all of the posterior's)")
    if noise_like is None and eta > 0:
        raise ValueError(f"the sampler {sampler} draws noise in each step; pass noise_like")
    return noise_like if eta > 0 else None
