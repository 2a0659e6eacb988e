"""Samplers: the loops from noise to data, and the grid of times they walk.

t falls from 1 (noise) to 0 (data); x_t = alpha x_0 + sigma noise. A sampler is a function of `denoise` and keeps no
state; its scalars are Python floats. Every step is written with alpha and sigma, not with their quotient, so that it is
finite at pure noise (alpha = 0). t = 0 means clean data on every schedule: the step to it returns the last estimate of
x_0 as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from text2x.diffusion.denoiser import Denoise, shift_time
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


class Sampler(Protocol):
    """From x at time ts[0] to x at time ts[-1]; `noise_like` is called by stochastic samplers only."""

    def __call__(
        self,
        denoise: Denoise,
        x: Tensor,  # [B, C, *]
        ts: Tensor,  # [steps + 1] falling
        schedule: NoiseSchedule,
        noise_like: NoiseLike | None = None,
        on_step: OnStep | None = None,
    ) -> Tensor:
        """x [B, C, *] at time ts[-1]; x_0 if that is 0."""
        ...


GridKind = Literal["uniform", "karras", "log_snr"]
LARGEST_LEVEL, SMALLEST_LEVEL = 80.0, 0.002  # sigma / alpha, Karras et al. 2022, Table 1
RHO = 7.0  # Karras et al. 2022, Table 1


def time_grid(
    steps: int,
    shift: float = 1.0,
    kind: GridKind = "uniform",
    schedule: NoiseSchedule | None = None,
    start: float = 1.0,
) -> Tensor:
    """[steps + 1] times in float64, falling strictly from `start` to 0.

    "uniform" is even in t. "karras" (Karras et al. 2022, Eq. 5) and "log_snr" (Lu et al. 2022) space the noise levels
    sigma / alpha of `schedule` between its largest, at most 80, and 0.002, and then add 0. `shift` > 1 spends more
    steps near noise (Esser et al. 2024, Eq. 23).
    """
    if steps < 1:
        raise InputError(f"steps is {steps}, but a sampler needs at least 1")
    if not (math.isfinite(shift) and shift > 0):
        raise InputError(f"shift is {shift}, but it must be a positive number; 1 leaves the times as they are")
    if not 0 < start <= 1:
        raise InputError(f"start is {start}, but it must be above 0 and at most 1, which is pure noise")
    if kind == "uniform":
        return shift_time(torch.linspace(1, 0, steps + 1, dtype=torch.float64), shift) * start
    if schedule is None:
        raise InputError(f"the time grid {kind!r} needs the noise schedule whose levels it spaces")
    if kind not in ("karras", "log_snr"):
        raise InputError(f"unknown time grid {kind!r}; choose uniform, karras or log_snr")
    return _level_grid(steps, shift, kind, schedule, start)


def _level_grid(steps: int, shift: float, kind: GridKind, schedule: NoiseSchedule, start: float) -> Tensor:
    """Times whose noise levels are even in level^(1/7) ("karras") or in log level, then 0."""
    alpha, sigma = (float(value) for value in schedule(torch.tensor(start, dtype=torch.float64)))
    high = min(sigma / max(alpha, SMALLEST), LARGEST_LEVEL)
    low = min(SMALLEST_LEVEL, high / 2)
    place = shift_time(torch.linspace(1, 0, steps, dtype=torch.float64), shift) if steps > 1 else torch.ones(1)
    if kind == "karras":
        levels = (low ** (1 / RHO) + place.double() * (high ** (1 / RHO) - low ** (1 / RHO))) ** RHO
    else:
        levels = torch.exp(math.log(low) + place.double() * (math.log(high) - math.log(low)))
    ts = schedule.time_of(-2 * levels.log())
    ts[0] = start
    return torch.cat([ts[ts > 0], ts.new_zeros(1)])


class Level(NamedTuple):
    """One time of the grid in float64."""

    t: float
    alpha: float
    sigma: float

    @property
    def log_ratio(self) -> float:
        """log(alpha / sigma), half the log-SNR; the lambda of Lu et al. 2022."""
        return math.log(max(self.alpha, SMALLEST)) - math.log(max(self.sigma, SMALLEST))


def _levels(ts: Tensor, schedule: NoiseSchedule) -> list[Level]:
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


def _estimate(denoise: Denoise, x: Tensor, level: Level) -> Tensor:
    """x_0 from x at one level, the same time for each item."""
    dtype = x.dtype if x.dtype in (torch.float32, torch.float64) else torch.float32
    return denoise(x, torch.full((x.shape[0],), level.t, dtype=dtype, device=x.device))


def _line(x: Tensor, x_0: Tensor, here: Level, there: Level) -> Tensor:
    """x at `there` with x_0 and the noise in x held fixed (Song et al. 2021, Eq. 12 with eta = 0)."""
    if there.sigma == 0:
        return x_0
    keep = there.sigma / here.sigma
    return torch.add(x * keep, x_0, alpha=there.alpha - here.alpha * keep)


def _shrink(here: Level, there: Level) -> float:
    """The quotient of sigma / alpha after and before the step, in [0, 1); exp(-h) of Lu et al. 2022."""
    return here.alpha * there.sigma / (there.alpha * here.sigma)


def _needed(noise_like: NoiseLike | None, sampler: str) -> NoiseLike:
    if noise_like is None:
        raise ValueError(f"the sampler {sampler} draws noise at each step; pass noise_like")
    return noise_like


def ddim(
    denoise: Denoise,
    x: Tensor,
    ts: Tensor,
    schedule: NoiseSchedule,
    noise_like: NoiseLike | None = None,
    on_step: OnStep | None = None,
    *,
    eta: float = 0.0,
) -> Tensor:
    """DDIM (Song et al. 2021, Eq. 12 and 16): order 1; eta 0 is deterministic, eta 1 draws from the posterior.

    Its Eq. 16 holds for any schedule as std = eta sigma' sqrt(1 - q^2), where q is the quotient of the two levels.
    """
    if not 0 <= eta <= 1:
        raise InputError(f"eta is {eta}, but it must lie between 0 (no noise) and 1 (all of the posterior's)")
    draw = _needed(noise_like, f"ddim with eta {eta:g}") if eta > 0 else None
    for index, (here, there) in enumerate(pairwise(_levels(ts, schedule))):
        x_0 = _estimate(denoise, x, here)
        if on_step is not None:
            on_step(Step(index, here.t, x, x_0))
        if draw is None or there.sigma == 0:
            x = _line(x, x_0, here, there)
            continue
        std = eta * there.sigma * math.sqrt(1 - _shrink(here, there) ** 2)
        x = _noisy_step(x, x_0, here, there, std, draw(x))
    return x


def _noisy_step(x: Tensor, x_0: Tensor, here: Level, there: Level, std: float, noise: Tensor) -> Tensor:
    """alpha' x_0 + sqrt(sigma'^2 - std^2) (the noise in x) + std noise (Song et al. 2021, Eq. 12)."""
    keep = math.sqrt(max(there.sigma**2 - std**2, 0.0)) / here.sigma
    mean = torch.add(x * keep, x_0, alpha=there.alpha - here.alpha * keep)
    return mean.add_(noise, alpha=std)


def euler(
    denoise: Denoise,
    x: Tensor,
    ts: Tensor,
    schedule: NoiseSchedule,
    noise_like: NoiseLike | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """Euler's method on d(x / alpha) / d(sigma / alpha) = noise (Karras et al. 2022, Eq. 4): order 1.

    The same step as DDIM with eta 0, and as Euler on the velocity under the linear schedule.
    """
    return ddim(denoise, x, ts, schedule, None, on_step)


def euler_ancestral(
    denoise: Denoise,
    x: Tensor,
    ts: Tensor,
    schedule: NoiseSchedule,
    noise_like: NoiseLike | None = None,
    on_step: OnStep | None = None,
    *,
    eta: float = 1.0,
) -> Tensor:
    """Euler to below the next noise level, then fresh noise up to it: in alpha and sigma, DDIM with eta 1."""
    return ddim(denoise, x, ts, schedule, _needed(noise_like, "euler_ancestral"), on_step, eta=eta)


# Heun leaves sigma / alpha for a step that is longer than this in it (times the new alpha); usual ones stay below 2.
LONGEST_STEP = 4.0


def heun(
    denoise: Denoise,
    x: Tensor,
    ts: Tensor,
    schedule: NoiseSchedule,
    noise_like: NoiseLike | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """Heun's method in sigma / alpha (Karras et al. 2022, Alg. 1): order 2, two estimates a step, one in the last.

    A step out of (nearly) pure noise, where that coordinate is (nearly) infinite, is taken in alpha / sigma instead.
    """
    for index, (here, there) in enumerate(pairwise(_levels(ts, schedule))):
        x_0 = _estimate(denoise, x, here)
        if on_step is not None:
            on_step(Step(index, here.t, x, x_0))
        x = _line(x, x_0, here, there)
        if there.sigma == 0:
            return x
        change = _estimate(denoise, x, there) - x_0
        gain = there.alpha - here.alpha * there.sigma / here.sigma  # how much of x_0 the first-order step added
        too_long = gain * here.sigma > LONGEST_STEP * here.alpha
        x = torch.add(x, change, alpha=gain / 2 if too_long else gain / (2 * _shrink(here, there)))
    return x


def dpmpp_2m(
    denoise: Denoise,
    x: Tensor,
    ts: Tensor,
    schedule: NoiseSchedule,
    noise_like: NoiseLike | None = None,
    on_step: OnStep | None = None,
) -> Tensor:
    """DPM-Solver++(2M) (Lu et al. 2022b, Alg. 2): order 2 with one estimate a step; the first and the last are DDIM."""
    levels = _levels(ts, schedule)
    before: Tensor | None = None
    for index, (here, there) in enumerate(pairwise(levels)):
        x_0 = _estimate(denoise, x, here)
        if on_step is not None:
            on_step(Step(index, here.t, x, x_0))
        x = _line(x, _ahead(x_0, before, index, levels), here, there)
        before = x_0
    return x


def _ahead(x_0: Tensor, before: Tensor | None, index: int, levels: list[Level]) -> Tensor:
    """x_0 carried on by half a step, linearly in log(alpha / sigma), from its last two estimates."""
    here, there = levels[index], levels[index + 1]
    if before is None or there.sigma == 0:
        return x_0
    step, step_before = there.log_ratio - here.log_ratio, here.log_ratio - levels[index - 1].log_ratio
    part = step / (2 * step_before)
    return torch.lerp(before, x_0, 1 + part)


SAMPLERS: dict[str, Sampler] = {
    "ddim": ddim,
    "euler": euler,
    "euler_ancestral": euler_ancestral,
    "heun": heun,
    "dpmpp_2m": dpmpp_2m,
}
