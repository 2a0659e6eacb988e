"""Samplers: the loops from noise to data, and the grid of times they walk.

t falls from 1 (noise) to 0 (data); x_t = alpha x_0 + sigma noise. A sampler is a function of `denoise` and keeps no
state; its scalars are Python floats. Every step is written with alpha and sigma, not with their quotient, so that it is
finite at pure noise (alpha = 0). t = 0 means clean data on every schedule: the step to it returns the last estimate of
x_0 as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Literal, Protocol

import torch
from torch import Tensor

from text2x.diffusion.denoiser import Denoise, shift_time
from text2x.diffusion.gradients import Gradient
from text2x.diffusion.multistep import dpmpp_2m, dpmpp_2m_sde, unipc
from text2x.diffusion.schedules import SMALLEST, NoiseSchedule
from text2x.diffusion.steps import (
    Level,
    NoiseLike,
    OnStep,
    Step,
    drawing,
    estimate,
    line,
    read_levels,
    shrink,
)
from text2x.diffusion.variance import LastVariance, log_variance
from text2x.errors import InputError

__all__ = [
    "SAMPLERS",
    "STOCHASTIC",
    "Sampler",
    "Step",
    "ddim",
    "ddpm",
    "dpmpp_2m",
    "dpmpp_2m_sde",
    "euler",
    "euler_ancestral",
    "heun",
    "time_grid",
    "unipc",
]


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
FIRST_TIME = 0.001  # the first of 1000 training steps: no grid has a level between it and clean data
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
    sigma / alpha of `schedule` from the one at `start`, at most 80, to 0.002 or its smallest, and then add 0.
    `shift` > 1 spends more steps near noise (Esser et al. 2024, Eq. 23).
    """
    if steps < 1:
        raise InputError(f"steps is {steps}, but a sampler needs at least 1")
    if not (math.isfinite(shift) and shift > 0):
        raise InputError(f"shift is {shift}, but it must be a positive number; 1 leaves the times as they are")
    if not 0 < start <= 1:
        raise InputError(f"start is {start}, but it must be above 0 and at most 1, which is pure noise")
    if kind == "uniform":
        return shift_time(torch.linspace(1, 0, steps + 1, dtype=torch.float64), shift) * start
    if kind not in ("karras", "log_snr"):
        raise InputError(f"unknown time grid {kind!r}; choose uniform, karras or log_snr")
    if schedule is None:
        raise InputError(f"the time grid {kind!r} needs the noise schedule whose levels it spaces")
    return _level_grid(steps, shift, kind, schedule, start)


def _level_grid(steps: int, shift: float, kind: GridKind, schedule: NoiseSchedule, start: float) -> Tensor:
    """Times whose noise levels are even in level^(1/7) ("karras") or in log level, then 0."""
    alpha, sigma = schedule(torch.tensor([start, min(FIRST_TIME, start / 2)], dtype=torch.float64))
    high, least = (sigma / alpha.clamp_min(SMALLEST)).clamp_max(LARGEST_LEVEL).tolist()
    low = least if high <= SMALLEST_LEVEL else max(least, SMALLEST_LEVEL)
    place = shift_time(torch.linspace(1, 0, steps, dtype=torch.float64), shift) if steps > 1 else torch.ones(1)
    if kind == "karras":
        levels = (low ** (1 / RHO) + place.double() * (high ** (1 / RHO) - low ** (1 / RHO))) ** RHO
    else:
        levels = torch.exp(math.log(low) + place.double() * (math.log(high) - math.log(low)))
    ts = schedule.time_of(-2 * levels.log())
    ts[0] = start
    return torch.cat([ts[ts > 0], ts.new_zeros(1)])


def ddpm(
    denoise: Denoise,
    x: Tensor,
    ts: Tensor,
    schedule: NoiseSchedule,
    noise_like: NoiseLike | None = None,
    on_step: OnStep | None = None,
    *,
    variance: Literal["small", "large"] | LastVariance = "small",
    gradient: Gradient | None = None,
) -> Tensor:
    """Ancestral sampling from the posterior of each step (Ho et al. 2020, Alg. 2), its coefficients made for any grid.

    "small" is the posterior's own variance and "large" that of the step forward; a learned one comes as `LastVariance`,
    which the conditional denoise fills (Nichol and Dhariwal 2021). `gradient`, already scaled (gradients.py), moves the
    mean of each step by the step's variance times itself at x_t (Dhariwal and Nichol 2021, Alg. 1), but not the step to
    clean data, which has no variance.
    """
    draw = drawing(noise_like, "ddpm")
    assert draw is not None
    for index, (here, there) in enumerate(pairwise(read_levels(ts, schedule))):
        x_0 = estimate(denoise, x, here, index, on_step)
        if there.sigma == 0:
            return x_0
        quotient = shrink(here, there)
        keep = quotient * there.sigma / here.sigma
        mean = torch.add(x * keep, x_0, alpha=there.alpha - here.alpha * keep)
        spread = math.sqrt(1 - quotient**2)
        if isinstance(variance, LastVariance):
            std: Tensor | float = _learned_std(variance, x, here.sigma * spread, there.sigma * spread)
        else:
            std = spread * (there.sigma if variance == "small" else here.sigma)
        if gradient is not None:
            mean = mean + std**2 * gradient(x, _times(x, here))
        x = mean.addcmul_(std, draw(x)) if isinstance(std, Tensor) else mean.add_(draw(x), alpha=std)
    return x


def _times(x: Tensor, level: Level) -> Tensor:
    dtype = x.dtype if x.dtype in (torch.float32, torch.float64) else torch.float32
    return torch.full((x.shape[0],), level.t, dtype=dtype, device=x.device)


def _learned_std(variance: LastVariance, x: Tensor, large: float, small: float) -> Tensor:
    if variance.v is None:
        raise ValueError("no learned variance arrived: hand it to Denoiser.denoise of a network that predicts one")
    v = variance.v[: x.shape[0]].to(x.dtype)  # [B, C, *]
    below, above = (2 * math.log(max(std, SMALLEST)) for std in (small, large))
    return torch.exp(log_variance(v, below, above) / 2)


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
    draw = drawing(noise_like, "ddim with eta above 0", eta)
    for index, (here, there) in enumerate(pairwise(read_levels(ts, schedule))):
        x_0 = estimate(denoise, x, here, index, on_step)
        if draw is None or there.sigma == 0:
            x = line(x, x_0, here, there)
            continue
        std = eta * there.sigma * math.sqrt(1 - shrink(here, there) ** 2)
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
    return ddim(denoise, x, ts, schedule, drawing(noise_like, "euler_ancestral", eta), on_step, eta=eta)


# Heun leaves sigma / alpha for a step longer than this in it (times the new alpha), which would magnify an error of the
# estimate; 10 even times stay below it on every schedule of schedules.py.
LONGEST_STEP = 2.0


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
    for index, (here, there) in enumerate(pairwise(read_levels(ts, schedule))):
        x_0 = estimate(denoise, x, here, index, on_step)
        x = line(x, x_0, here, there)
        if there.sigma == 0:
            return x
        change = estimate(denoise, x, there) - x_0
        gain = there.alpha - here.alpha * there.sigma / here.sigma  # how much of x_0 the first-order step added
        too_long = gain * here.sigma > LONGEST_STEP * here.alpha
        x = torch.add(x, change, alpha=gain / 2 if too_long else gain / (2 * shrink(here, there)))
    return x


SAMPLERS: Mapping[str, Sampler] = {
    "ddpm": ddpm,
    "ddim": ddim,
    "euler": euler,
    "euler_ancestral": euler_ancestral,
    "heun": heun,
    "dpmpp_2m": dpmpp_2m,
    "dpmpp_2m_sde": dpmpp_2m_sde,
    "unipc": unipc,
}
STOCHASTIC = frozenset({"ddpm", "euler_ancestral", "dpmpp_2m_sde"})  # those that need `noise_like` as they stand
